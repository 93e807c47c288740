// Unspent taint over time as steps, and what reached services by then.
'use strict';
const Chart = (() => {
  const { el, svg, btc, date, time } = Base;
  const WIDTH = 1100, HEIGHT = 280, LEFT = 110, RIGHT = 130, TOP = 26, BOTTOM = 34;
  const MOST_POINTS = 3000;

  // Whole bitcoins as far as the steps of the axis allow.
  const brief = sat => (sat / 1e8).toLocaleString('en-US', { maximumFractionDigits: 8 });

  // Only the last of several steps at one place is seen, with the highest between.
  function thinned(rows) {
    if (rows.length <= MOST_POINTS) return rows;
    const size = Math.ceil(rows.length / (MOST_POINTS / 2)), kept = [];
    for (let start = 0; start < rows.length; start += size) {
      const part = rows.slice(start, start + size), last = part[part.length - 1];
      const highest = part.reduce((best, row) => row.unspent > best.unspent ? row : best);
      if (highest !== last) kept.push(highest);
      kept.push(last);
    }
    return kept;
  }

  function show(holder, trace, rows) {
    holder.replaceChildren();
    const dated = rows.every(row => row.clock !== null);
    if (!rows.length) { holder.append(el('p', { class: 'note' }, 'No coin, no balance.')); return; }
    const points = thinned(rows).map(row => ({ x: dated ? row.clock * 1000 : row.height, unspent: row.unspent, reached: row.reached, row }));
    let [from, to] = [points[0].x, points[points.length - 1].x];
    if (from === to) { from -= dated ? 43200000 : 1; to += dated ? 43200000 : 1; }
    const most = d3.max(points, point => Math.max(point.unspent, point.reached)) || 1;
    const x = value => LEFT + (value - from) / (to - from) * (WIDTH - LEFT - RIGHT);
    const ticks = d3.ticks(0, most / 1e8, 5);
    const top = Math.max(most, ticks.length ? ticks[ticks.length - 1] * 1e8 : 0);
    const y = value => HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    const end = points[points.length - 1];
    const canvas = svg('svg', {
      id: 'chart', viewBox: '0 0 ' + WIDTH + ' ' + HEIGHT, role: 'img', 'data-unspent-sat': end.unspent,
      'aria-label': 'Unspent taint over time: ' + btc(end.unspent) + ' BTC at the end, at most ' + btc(d3.max(points, point => point.unspent)) + ' BTC',
    });
    for (const tick of ticks) {
      canvas.append(svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick * 1e8), y2: y(tick * 1e8) }),
        svg('text', { class: 'tick', x: LEFT - 8, y: y(tick * 1e8) + 4, 'text-anchor': 'end' }, brief(tick * 1e8)));
    }
    canvas.append(svg('text', { class: 'tick', x: LEFT - 8, y: 10, 'text-anchor': 'end' }, 'BTC'));
    const marks = dated ? d3.utcTicks(new Date(from), new Date(to), 7) : d3.ticks(from, to, 7).filter(Number.isInteger);
    const room = dated ? 92 : 110;
    let free = -Infinity;
    for (const mark of marks) {
      if (x(+mark) < free) continue;
      free = x(+mark) + room;
      const text = dated ? (to - from < 3 * 86400000 ? time(+mark / 1000).slice(5, 16) : date(+mark / 1000)) : 'block ' + mark;
      canvas.append(svg('line', { class: 'grid', x1: x(+mark), x2: x(+mark), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 5 }),
        svg('text', { class: 'tick', x: x(+mark), y: HEIGHT - 12, 'text-anchor': 'middle' }, text));
    }
    const steps = value => d3.line(point => x(point.x), point => y(point[value])).curve(d3.curveStepAfter)(points);
    const area = d3.area(point => x(point.x), y(0), point => y(point.unspent)).curve(d3.curveStepAfter)(points);
    canvas.append(svg('path', { class: 'area', d: area }), svg('path', { class: 'line-unspent', d: steps('unspent') }));
    if (end.reached > 0) canvas.append(svg('path', { class: 'line-service', d: steps('reached') }));
    // Written beside their lines; apart where the lines end together.
    const names = [['unspent', y(end.unspent)]];
    if (end.reached > 0) names.push(['to services', y(end.reached)]);
    names.sort((a, b) => a[1] - b[1]);
    if (names.length > 1 && names[1][1] - names[0][1] < 30) {
      const lift = (30 - (names[1][1] - names[0][1])) / 2;
      names[0][1] -= lift;
      names[1][1] += lift;
    }
    for (const [text, at] of names) {
      const amount = text === 'unspent' ? end.unspent : end.reached;
      canvas.append(svg('text', { class: 'tick name', x: WIDTH - RIGHT + 8, y: at }, text),
        svg('text', { class: 'tick', x: WIDTH - RIGHT + 8, y: at + 13 }, btc(amount)));
    }
    const readout = el('p', { class: 'note readout', 'aria-live': 'polite' }, 'Point at the chart for the balance of a day.');
    const cursor = svg('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM, x1: -9, x2: -9 });
    canvas.append(cursor);
    const find = d3.bisector(point => point.x).right;
    canvas.addEventListener('mousemove', event => {
      const box = canvas.getBoundingClientRect();
      const at = from + ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * (to - from);
      const point = points[Math.max(0, find(points, at) - 1)];
      cursor.setAttribute('x1', x(point.x));
      cursor.setAttribute('x2', x(point.x));
      readout.textContent = (point.row.height < 0 ? 'at the start' : 'block ' + point.row.height) + (dated ? ', ' + time(point.row.clock) + ' UTC' : '') +
        ': unspent ' + btc(point.unspent) + ' BTC, to services so far ' + btc(point.reached) + ' BTC';
    });
    holder.append(canvas, readout);
  }

  return { show };
})();
