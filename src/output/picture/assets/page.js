// The page: its head, the rule and detail switches, the picture with the panel beside it, chart and tables.
'use strict';
(() => {
  const { el, btc, count, time, badge, sum, KINDS, RULES } = Base;
  const data = JSON.parse(document.getElementById('trace').textContent);
  const head = data.head, page = document.getElementById('page');
  const DETAIL = [['fewer', 14], ['normal', 34], ['more', 90], ['most', 300]];
  const chosen = { rule: 0, most: 34, pinned: new Set() };
  const traces = data.rules.map(() => null);
  const traceOf = number => traces[number] || (traces[number] = Flow.read(data, number));
  let trace = null, opener = null;

  const body = el('div', { id: 'body' });
  const panel = el('aside', { id: 'panel', 'aria-label': 'Detail', hidden: true, tabindex: -1 });

  function header() {
    const { coverage } = head;
    const field = (name, ...value) => [el('dt', {}, name), el('dd', {}, value)];
    const heights = coverage.from === null || coverage.through === null ? 'no height' : 'heights ' + coverage.from + ' to ' + coverage.through;
    const missing = [
      ...coverage.gaps.map(gap => 'not scanned: heights ' + gap.from + ' to ' + gap.through + ' for ' + count(gap.entries, 'entry', 'entries') + (gap.lists.length ? ' of ' + gap.lists.join(', ') : ' on no list')),
      ...coverage.why,
      coverage.quarantined ? 'rows of the lists that could not be read: ' + coverage.quarantined : null,
      ...head.unknown.map(target => 'nothing is known of ' + target),
    ].filter(Boolean);
    const gates = [
      head.min_taint_sat === null ? null : 'coins with less than ' + btc(head.min_taint_sat) + ' BTC of taint are not followed',
      head.max_hops === null ? 'any number of hops' : 'at most ' + count(head.max_hops, 'hop'),
      head.stop_flagged ? 'stops at other flagged scripts' : 'goes on through other flagged scripts',
    ].filter(Boolean).join('; ');
    return el('header', {},
      el('h1', {}, 'Where it went: ', el('span', { class: 'target' }, head.target)),
      el('p', { id: 'coverage', class: coverage.complete ? 'complete' : 'incomplete', role: 'status' },
        el('strong', {}, coverage.complete ? '✓ Complete' : '⚠ NOT COMPLETE'), ' for ' + coverage.chain + ', ' + heights + '.',
        missing.length ? el('ul', {}, missing.map(line => el('li', {}, line))) : null),
      el('dl', {},
        field('state', head.at === null ? 'of an index without a block' : 'after block ' + head.at),
        field('tip', el('span', { class: 'mono' }, coverage.tip || 'none')),
        field('lists', el('span', { class: 'mono' }, coverage.lists || 'none')),
        field('rules', data.rules.map(rule => rule.rule).join(', ')),
        field('gates', gates),
        field('command', el('code', { id: 'command' }, head.command)),
        field('made by', head.program)));
  }

  // Which rule; written out in print, where nobody can switch.
  function switches() {
    const radio = (rule, number) => el('label', {},
      el('input', { type: 'radio', name: 'rule', value: number, checked: number === chosen.rule, onchange: () => { chosen.rule = number; chosen.pinned.clear(); show(); } }),
      el('span', {}, rule.rule));
    const detail = el('select', { id: 'detail', onchange: () => { chosen.most = Number(detail.value); redraw(); } },
      DETAIL.map(([name, most]) => el('option', { value: most, selected: most === chosen.most }, name)));
    return el('div', { class: 'controls', id: 'switches' },
      data.rules.length > 1 ? el('fieldset', {}, el('legend', {}, 'Rule'), data.rules.map(radio)) : null,
      el('label', {}, 'Transactions drawn one by one ', detail),
      el('button', { type: 'button', id: 'unpin', hidden: true, onclick: () => { chosen.pinned.clear(); redraw(); } }, 'Fold again what was unfolded'));
  }

  function legend() {
    const shown = new Set(trace.drawn.nodes.map(node => node.kind));
    return el('ul', { class: 'legend' }, Object.keys(KINDS).filter(kind => shown.has(kind)).map(kind =>
      el('li', {}, Base.svg('svg', { class: 'swatch', viewBox: '0 0 22 16', width: 22, height: 16, 'aria-hidden': 'true' },
        Base.svg('rect', { class: 'k-' + kind, x: 1, y: 1, width: 20, height: 14, fill: 'url(#fill-' + kind + ')' })), badge(kind), ' ',
      el('b', {}, KINDS[kind].name), ' ' + KINDS[kind].means)));
  }

  function summary() {
    const { sum: parts } = trace;
    const tile = (kind, sat, text) => el('li', { class: 'k-' + kind }, badge(kind), el('b', {}, btc(sat)), el('span', {}, text));
    return el('ul', { class: 'tiles' },
      tile('source', parts.source, 'BTC flagged at the source'), tile('unspent', parts.unspent, 'BTC still unspent'),
      tile('service', parts.service, 'BTC paid to services'), parts.flagged ? tile('flagged', parts.flagged, 'BTC on other flagged scripts') : null,
      tile('frontier', parts.frontier, 'BTC where the trace was cut'), parts.unspendable ? tile('unspendable', parts.unspendable, 'BTC unspendable') : null,
      tile('fees', parts.fees, 'BTC paid in fees'));
  }

  function show() {
    trace = traceOf(chosen.rule);
    close();
    const rows = Flow.balance(trace), chart = el('div', { class: 'chart' });
    body.replaceChildren(
      el('section', {}, el('h2', {}, 'Under the rule ', el('em', { id: 'rule' }, trace.name)), el('p', { class: 'note' }, RULES[trace.name] || ''), summary()),
      el('section', { class: 'flow' }, el('h2', {}, 'The flow of money'), el('p', { class: 'note' },
        'From left to right, hop by hop; the width is tainted value. Click, or press Enter on, anything to see what is in it.'),
      el('div', { id: 'holder', tabindex: 0, role: 'region', 'aria-label': 'Picture' }), el('p', { id: 'told' }), el('div', { id: 'legend' })),
      el('section', {}, el('h2', {}, 'Unspent taint over time'), chart, Tables.days(rows)),
      el('section', {}, el('h2', {}, 'Where it is now'), Tables.sums(trace)),
      el('section', {}, el('h2', {}, 'Services reached'), Tables.services(trace)),
      el('section', {}, el('h2', {}, 'Frontier'), Tables.frontier(trace)),
      el('section', {}, el('h2', {}, 'The largest unspent coins'), Tables.largest(trace, openTx)),
      el('section', {}, el('h2', {}, 'Everything'), Tables.coins(trace, openTx), Tables.transactions(trace, openTx)));
    Chart.show(chart, trace, rows);
    redraw();
  }

  function redraw() {
    trace.drawn = Flow.draw(trace, chosen.most, chosen.pinned);
    Picture.show(document.getElementById('holder'), trace.drawn, trace, pick);
    document.getElementById('told').textContent = Picture.told(trace.drawn, trace);
    document.getElementById('legend').replaceChildren(legend());
    document.getElementById('unpin').hidden = !chosen.pinned.size;
  }

  function close() {
    panel.hidden = true;
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  }

  function open(kind, title, ...children) {
    if (panel.hidden) opener = document.activeElement;
    panel.replaceChildren(el('div', { class: 'top' }, el('h2', {}, badge(kind), ' ', title), el('button', { type: 'button', 'aria-label': 'Close', onclick: close }, '✕')), el('div', {}, children));
    panel.hidden = false;
    panel.scrollTop = 0;
    panel.focus();
  }

  const some = (rows, make) => [make(rows.slice(0, 200)), rows.length > 200 ? el('p', { class: 'note' }, 'The largest 200 of ' + rows.length + '; all are in the tables of the page.') : null];
  const largestFirst = coins => [...coins].sort((a, b) => b.taint - a.taint || a.id - b.id);
  const coinList = (title, coins, names) => coins.length ? [el('h3', {}, title), some(coins, rows => Tables.grid(
    Tables.coinColumns(trace, openTx).filter(([name]) => names.includes(name)), rows, {}))] : null;

  function openTx(id) {
    const tx = trace.txs.get(id);
    const pin = () => { chosen.pinned.add(id); close(); redraw(); document.getElementById('holder').scrollIntoView({ block: 'start' }); };
    const alone = trace.drawn.nodes.some(node => node.kind === 'tx' && node.txs[0] === tx);
    open('tx', 'Transaction', el('p', { class: 'mono txid' }, tx.txid), el('dl', {},
      el('dt', {}, 'block'), el('dd', {}, tx.height), el('dt', {}, 'date (UTC)'), el('dd', {}, time(tx.time)),
      el('dt', {}, 'taint in'), el('dd', {}, btc(tx.taint) + ' BTC'), el('dt', {}, 'taint in the fee'), el('dd', {}, btc(tx.fee) + ' BTC'),
      el('dt', {}, 'hops'), el('dd', {}, tx.hops)),
    alone ? null : el('p', {}, el('button', { type: 'button', onclick: pin }, 'Draw it by itself')),
    coinList('From (inputs with taint)', tx.ins, ['coin', 'value BTC', 'taint BTC', 'held by']),
    coinList('To (outputs with taint)', tx.outs, ['coin', 'value BTC', 'taint BTC', 'state', 'held by', 'spent by']));
  }

  function pick({ node, link }) {
    if (link) {
      const coins = largestFirst(new Set(link.pieces.map(piece => piece.coin).filter(Boolean)));
      open(link.target.kind, Picture.name(link.source) + ' → ' + Picture.name(link.target), el('p', {}, btc(link.value) + ' BTC'),
        coinList('Coins', coins, ['coin', 'date (UTC)', 'value BTC', 'taint BTC', 'state', 'held by', 'spent by']));
    } else if (node.kind === 'tx') {
      openTx(node.txs[0].tx);
    } else if (node.txs.length) {
      const txs = node.txs.slice().sort((a, b) => b.taint - a.taint);
      const unfold = () => { for (const tx of txs.slice(0, 20)) chosen.pinned.add(tx.tx); close(); redraw(); };
      open(node.kind, count(txs.length, 'transaction') + (node.kind === 'chain' ? ' one after another' : ' folded'),
        el('p', {}, KINDS[node.kind].means + '; ' + btc(node.value) + ' BTC go through it, ' + count(new Set(txs.flatMap(tx => tx.outs)).size, 'coin') + '.'),
        el('p', {}, el('button', { type: 'button', id: 'unfold', onclick: unfold }, txs.length > 20 ? 'Draw its 20 largest by themselves' : 'Draw all of it')),
        some(txs, rows => Tables.grid([
          ['transaction', tx => el('button', { type: 'button', class: 'link-like', onclick: () => openTx(tx.tx) }, tx.txid), 'mono'],
          ['date (UTC)', tx => time(tx.time), 'nowrap'], ['taint in BTC', tx => btc(tx.taint), 'right'], ['labels', tx => tx.labels.join('; ')]], rows, {})));
    } else if (node.kind === 'fees') {
      const payers = trace.order.filter(tx => tx.fee > 0).sort((a, b) => b.fee - a.fee);
      open('fees', 'Fees', el('p', {}, btc(node.value) + ' BTC of taint were paid to miners by ' + count(payers.length, 'transaction') + '.'), some(payers, rows => Tables.grid([
        ['transaction', tx => el('button', { type: 'button', class: 'link-like', onclick: () => openTx(tx.tx) }, tx.txid), 'mono'], ['taint in the fee BTC', tx => btc(tx.fee), 'right']], rows, {})));
    } else {
      const coins = largestFirst(node.coins);
      open(node.kind, node.title, el('p', {}, KINDS[node.kind].means + '.'), el('p', {}, btc(node.value) + ' BTC in ' + count(coins.length, 'coin') + '.'),
        node.labels.length ? el('p', { class: 'labels' }, '⚑ ' + node.labels.join('; ')) : null,
        coinList('Coins', coins, ['coin', 'date (UTC)', 'value BTC', 'taint BTC', 'hops', 'state', 'held by', 'spent by']));
    }
  }

  document.addEventListener('keydown', event => { if (event.key === 'Escape' && !panel.hidden) close(); });
  page.append(header(), switches(), body, panel, el('footer', {},
    el('p', { class: 'note' }, 'Amounts are bitcoins with eight decimals, dates are UTC. This page holds all of its data and asks nobody for anything.'),
    Tables.details('software', 'Software within this page', () => el('pre', {}, document.getElementById('licences').textContent))));
  if (data.rules.length) show();
  document.title = 'coinhound: where ' + head.target + ' went';
  document.documentElement.dataset.drawn = 'yes';
})();
