// The flow of money as a picture: from the sources on the left, hop by hop, to where it is now on the right; width is taint.
'use strict';
const Picture = (() => {
  const { el, svg, btc, share, count, date, clip, sum, KINDS } = Base;
  const LEFT = 180, RIGHT = 215, TOP = 46, BOTTOM = 34, NODE = 14, GAP = 46, WIDE = 16;
  const ENDS = new Set(['unspent', 'service', 'flagged', 'frontier', 'unspendable', 'fees']);

  // Patterns tell the kinds apart without colour; each is drawn over the kind's own colour.
  const PATTERNS = {
    service: [6, 'M0 6 6 0M-1 1 1 -1M5 7 7 5'], unspent: [6, 'M1.5 3h.01M4.5 0h.01M4.5 6h.01'], frontier: [6, 'M0 0 6 6M6 0 0 6'],
    flagged: [6, 'M0 1.5h6M0 4.5h6'], unspendable: [5, 'M2.5 0v5'], source: null, fees: null, tx: null, chain: [4, 'M0 2h4'], fold: [8, 'M0 2h8M0 6h8'],
  };
  function patterns() {
    return Object.entries(PATTERNS).map(([kind, pattern]) => {
      const size = pattern ? pattern[0] : 4;
      return svg('pattern', { id: 'fill-' + kind, class: 'k-' + kind, width: size, height: size, patternUnits: 'userSpaceOnUse' },
        svg('rect', { class: 'ground', width: size, height: size }), pattern && svg('path', { class: 'mark', d: pattern[1] }));
    });
  }

  // What a node says in words: a title, and lines below it.
  function words(node, trace) {
    const amount = btc(node.value) + ' BTC';
    if (node.kind === 'tx') return [node.title, amount, date(node.txs[0].time)];
    if (node.kind === 'chain') return [node.txs.length + ' in a row', amount, span(node.txs)];
    if (node.kind === 'fold') return [count(node.txs.length, 'transaction'), amount, 'folded'];
    const title = /^\S{27,}$/.test(node.title) ? node.title.slice(0, 11) + '…' + node.title.slice(-6) : clip(node.title, 28);
    const part = share(node.value, trace.sum.source);
    if (node.kind === 'fees') return [title, amount, part];
    return [title, amount, part + ' · ' + count(node.coins.size, 'coin')];
  }
  const span = txs => {
    const from = date(txs[0].time), to = date(txs[txs.length - 1].time);
    return from === to ? from : from.slice(0, 7) === to.slice(0, 7) ? from + '–' + to.slice(8) : from.slice(0, 7) + '–' + to.slice(from.slice(0, 4) === to.slice(0, 4) ? 5 : 0, 7);
  };

  function layout(drawn, trace, room) {
    const graph = {
      nodes: drawn.nodes.map(node => ({ ...node })),
      links: drawn.links.map(link => ({ ...link })),
    };
    const make = () => d3.sankey().nodeId(node => node.id).nodeWidth(NODE)
      .nodeAlign((node, n) => ENDS.has(node.kind) ? n - 1 : node.kind === 'source' ? 0 : Math.min(node.depth, Math.max(n - 2, 0)));
    // Once to learn how many columns there are, and how full; then for good.
    make().extent([[0, 0], [1000, 1000]]).iterations(0)(graph);
    const columns = d3.max(graph.nodes, node => node.layer) + 1;
    const fullest = d3.max(d3.rollups(graph.nodes, list => list.length, node => node.layer), ([, length]) => length);
    const step = Math.max(112, Math.min(260, (room - LEFT - RIGHT - NODE) / Math.max(columns - 1, 1)));
    const width = Math.max(room, LEFT + RIGHT + NODE + step * (columns - 1));
    const height = Math.max(300, fullest * GAP + 190);
    make().nodePadding(GAP).iterations(40)
      .extent([[LEFT, TOP + 44], [width - RIGHT, TOP + 44 + height]])(graph);
    settle(graph, TOP + 44, height);
    thin(graph);
    return { graph, width, height: TOP + 44 + height + BOTTOM, columns };
  }

  // The ends stand by kind, each kind and each of its nodes as near as can be to where its money comes from.
  function settle(graph, top, height) {
    const ends = graph.nodes.filter(node => ENDS.has(node.kind));
    const from = nodes => {
      const links = nodes.flatMap(node => node.targetLinks);
      return sum(links, link => link.value * (link.source.y0 + link.source.y1) / 2) / (sum(links, link => link.value) || 1);
    };
    const groups = d3.groups(ends, node => node.kind).map(([, nodes]) => ({ at: from(nodes), nodes: d3.sort(nodes, node => from([node])) }));
    const order = d3.sort(groups, group => group.at).flatMap(group => group.nodes);
    const gap = order.length > 1 ? (height - sum(order, node => node.y1 - node.y0)) / (order.length - 1) : 0;
    let y = top;
    if (order.length > 1) {
      for (const node of order) {
        const high = node.y1 - node.y0;
        node.y0 = y;
        node.y1 = y + high;
        y += high + gap;
      }
    }
    for (const node of graph.nodes) {
      node.sourceLinks.sort((a, b) => a.target.y0 - b.target.y0);
      node.targetLinks.sort((a, b) => a.source.y0 - b.source.y0);
    }
    d3.sankey().update(graph);
  }

  // In a full picture, hairs are drawn only while one end is pointed at; each node keeps its widest link.
  function thin(graph) {
    if (graph.links.length <= 60) return;
    const widest = new Set(graph.nodes.map(node => d3.greatest(node.targetLinks, link => link.value)));
    for (const link of graph.links) link.hair = link.width < 0.4 && !widest.has(link);
  }

  // Above each column: how many spends away from a source.
  function heads(graph, columns) {
    const by = d3.group(graph.nodes.filter(node => node.txs.length), node => node.layer);
    const list = [];
    for (let column = 0; column < columns; column += 1) {
      const nodes = graph.nodes.filter(node => node.layer === column);
      if (!nodes.length) continue;
      let text = null;
      if (by.has(column)) {
        const hops = by.get(column).flatMap(node => node.txs.map(tx => tx.hops));
        const [least, most] = d3.extent(hops);
        text = 'hop ' + (least === most ? least : least + '–' + most);
      } else if (column === 0) text = 'source';
      if (text) list.push({ text, x: nodes[0].x0 + NODE / 2, anchor: column === 0 ? 'end' : 'middle' });
    }
    const ends = graph.nodes.filter(node => ENDS.has(node.kind));
    if (ends.length) list.push({ text: 'where it is now', x: ends[0].x0, anchor: 'start' });
    return list;
  }

  // Draws into `holder`; `pick` is called with what was clicked: a node or a link.
  function show(holder, drawn, trace, pick) {
    holder.replaceChildren();
    if (!drawn.links.length) {
      holder.append(el('p', { class: 'note' }, 'There is nothing to draw: this trace moved no money.'));
      return;
    }
    const { graph, width, height, columns } = layout(drawn, trace, Math.max(holder.clientWidth || 0, 900));
    const canvas = svg('svg', {
      id: 'picture', viewBox: '0 0 ' + width + ' ' + Math.ceil(height), width, height: Math.ceil(height), role: 'group',
      'aria-label': 'Flow of money from left to right; ' + count(graph.nodes.length, 'node') + ', width is taint',
    }, svg('defs', {}, patterns()));
    for (const head of heads(graph, columns)) {
      canvas.append(svg('text', { class: 'head', x: head.x, y: 18, 'text-anchor': head.anchor }, head.text));
    }
    canvas.append(svg('line', { class: 'rule', x1: 0, x2: width, y1: 28, y2: 28 }));
    const line = d3.sankeyLinkHorizontal();
    // Beside a stroke as wide as a column, its own edges bulge out: what is wide is an area, whose width is upright.
    const area = link => {
      const [x0, x1, half] = [link.source.x1, link.target.x0, link.width / 2], middle = (x0 + x1) / 2;
      const edge = (from, to, a, b) => from + ',' + a + 'C' + middle + ',' + a + ',' + middle + ',' + b + ',' + to + ',' + b;
      return 'M' + edge(x0, x1, link.y0 - half, link.y1 - half) + 'L' + edge(x1, x0, link.y1 + half, link.y0 + half) + 'Z';
    };
    const links = svg('g', { class: 'links' });
    for (const link of graph.links.slice().sort((a, b) => b.width - a.width)) {
      link.shape = svg('path', {
        class: 'link k-' + (ENDS.has(link.target.kind) ? link.target.kind : 'tx') + (link.hair ? ' hair' : link.width < 1 ? ' thin' : link.width > WIDE ? ' wide' : ''),
        d: link.width > WIDE ? area(link) : line(link), 'stroke-width': Math.max(1, link.width).toFixed(2),
        'data-from': link.source.id, 'data-to': link.target.id, onclick: () => pick({ link }),
      }, svg('title', {}, name(link.source) + ' → ' + name(link.target) + ': ' + btc(link.value) + ' BTC'));
      links.append(link.shape);
    }
    canvas.append(links);
    const nodes = svg('g', { class: 'nodes' });
    const reading = graph.nodes.slice().sort((a, b) => a.layer - b.layer || a.y0 - b.y0);
    for (const node of reading) nodes.append(shapeOf(node, trace, pick));
    canvas.append(nodes);
    holder.append(canvas);
    drawn.hairs = graph.links.filter(link => link.hair);
  }

  const name = node => KINDS[node.kind].name + (node.title ? ' ' + node.title : node.txs.length ? ' (' + count(node.txs.length, 'transaction') + ')' : '');

  function shapeOf(node, trace, pick) {
    const lines = words(node, trace);
    const labels = node.kind === 'source' || ENDS.has(node.kind) ? node.labels.filter(label => label !== node.title) : node.labels;
    const high = Math.max(2, node.y1 - node.y0), middle = (node.y0 + node.y1) / 2;
    const side = ENDS.has(node.kind) ? 'right' : node.kind === 'source' ? 'left' : 'above';
    const all = labels.length ? [...lines, '⚑ ' + clip(labels.join('; '), side === 'above' ? 18 : 26)] : lines;
    const x = side === 'right' ? node.x1 + 24 : side === 'left' ? node.x0 - 24 : (node.x0 + node.x1) / 2;
    const top = side === 'above' ? node.y0 - 6 - (all.length - 1) * 12 : middle - (all.length - 1) * 6.5 + 3.5;
    const anchor = { right: 'start', left: 'end', above: 'middle' }[side];
    const text = svg('text', { 'text-anchor': anchor, x, y: top },
      all.map((line, number) => svg('tspan', { x, dy: number ? (side === 'above' ? 12 : 13) : 0, class: 'line' + (line.startsWith('⚑') ? ' label' : '') + (number ? '' : ' title') }, line)));
    const sign = { right: [node.x1 + 6, middle - 7], left: [node.x0 - 20, middle - 7], above: [node.x1 + 3, middle - 6] }[side];
    const act = event => { event.preventDefault(); pick({ node }); };
    const light = on => () => node.sourceLinks.concat(node.targetLinks).forEach(link => link.shape.classList.toggle('on', on));
    return svg('g', {
      class: 'node k-' + node.kind, tabindex: 0, role: 'button', 'data-id': node.id, 'data-kind': node.kind,
      'aria-label': [KINDS[node.kind].name, ...all].join(', '),
      onclick: act, onkeydown: event => { if (event.key === 'Enter' || event.key === ' ') act(event); },
      onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false),
    },
    svg('title', {}, name(node) + '\n' + lines.slice(1).join('\n') + (labels.length ? '\n' + labels.join('\n') : '')),
    svg('rect', { class: 'body', x: node.x0, y: node.y0, width: NODE, height: high, fill: 'url(#fill-' + node.kind + ')', rx: node.kind === 'tx' ? 2 : 0 }),
    text,
    svg('g', { transform: 'translate(' + sign[0] + ' ' + sign[1] + ')', class: 'sign-of' }, Base.sign(node.kind)));
  }

  // What the picture leaves out, in words.
  function told(drawn, trace) {
    const { single, hidden } = drawn;
    const parts = ['Drawn one by one: ' + single.toLocaleString('en-US') + ' of ' + count(trace.order.length, 'transaction') + '.'];
    if (hidden.length) {
      const txs = hidden.flatMap(node => node.txs);
      const coins = new Set(txs.flatMap(tx => tx.outs));
      const largest = d3.max(hidden.flatMap(node => node.kind === 'fold' ? node.txs : []), tx => tx.taint);
      parts.push('Folded: ' + count(txs.length, 'transaction') + ' with ' + count(coins.size, 'coin') + ' in ' + count(hidden.length, 'group') +
        (largest === undefined ? '' : '; the largest folded transaction moved ' + btc(largest) + ' BTC') + '.');
    }
    const rest = drawn.nodes.filter(node => ENDS.has(node.kind) && node.rest);
    for (const node of rest) parts.push(node.title[0].toUpperCase() + node.title.slice(1) + ': ' + count(node.coins.size, 'coin') + ', ' + btc(sum([...node.coins], coin => coin.taint)) + ' BTC.');
    if (drawn.hairs && drawn.hairs.length) {
      parts.push('Not drawn until one of their ends is pointed at: ' + count(drawn.hairs.length, 'link') + ' of less than ' +
        btc(d3.max(drawn.hairs, link => link.value) + 1) + ' BTC each, ' + btc(sum(drawn.hairs, link => link.value)) + ' BTC together.');
    }
    parts.push('The tables below leave out nothing.');
    return parts.join(' ');
  }

  return { show, told, name };
})();
