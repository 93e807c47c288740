// The tables: the sum that adds up, services, the frontier by reason, the balance by day, every coin.
'use strict';
const Tables = (() => {
  const { el, btc, share, count, date, time, badge, sum, KINDS, REASONS, kindOf } = Base;
  const PAGE = 200;

  // A table of rows; `columns` are [title, value of a row, class].
  function grid(columns, rows, attributes) {
    const head = el('tr', {}, columns.map(([title, , kind]) => el('th', { scope: 'col', class: kind }, title)));
    const line = row => el('tr', {}, columns.map(([, value, kind]) => el('td', { class: kind }, value(row))));
    return el('div', { class: 'wide' }, el('table', attributes, el('thead', {}, head), el('tbody', {}, rows.map(line))));
  }

  // The same for many rows: a page at a time, the rest on demand.
  function long(columns, rows, attributes) {
    const box = grid(columns, rows.slice(0, PAGE), attributes), body = box.querySelector('tbody');
    let shown = Math.min(PAGE, rows.length);
    const state = el('span', { class: 'note' });
    const more = number => () => {
      const part = rows.slice(shown, shown + number);
      body.append(...grid(columns, part, {}).querySelector('tbody').children);
      shown += part.length;
      say();
    };
    const buttons = [el('button', { type: 'button', onclick: more(PAGE) }, PAGE + ' more'), el('button', { type: 'button', onclick: more(Infinity) }, 'all')];
    const say = () => {
      state.textContent = shown === rows.length ? 'All ' + count(rows.length, 'row') + '.' : 'The first ' + shown + ' of ' + count(rows.length, 'row') + '.';
      for (const button of buttons) button.hidden = shown === rows.length;
    };
    say();
    return el('div', {}, box, el('p', { class: 'more' }, state, ' ', buttons));
  }

  const stateOf = coin => [badge(kindOf(coin.state) in KINDS ? kindOf(coin.state) : 'tx'), ' ', coin.hops === 0 ? 'source, ' : '', coin.state.replaceAll('_', ' ')];
  const holderOf = coin => [coin.holder, coin.labels.length ? el('div', { class: 'labels' }, '⚑ ' + coin.labels.join('; ')) : null];

  // Every column of a coin; `open` shows a transaction.
  function coinColumns(trace, open) {
    const link = (tx, text) => trace.txs.has(tx) ? el('button', { type: 'button', class: 'link-like', onclick: () => open(tx) }, text) : text;
    return [
      ['coin', coin => link(coin.tx, coin.outpoint), 'mono'],
      ['date (UTC)', coin => time(coin.time), 'nowrap'],
      ['block', coin => coin.height === null ? '–' : coin.height, 'right'],
      ['value BTC', coin => btc(coin.value), 'right'],
      ['taint BTC', coin => btc(coin.taint), 'right'],
      ['hops', coin => coin.hops, 'right'],
      ['state', stateOf, 'nowrap'],
      ['held by', holderOf, 'mono'],
      ['spent by', coin => coin.by === null ? '' : link(coin.by, trace.txs.get(coin.by).txid + ':' + coin.vin), 'mono'],
    ];
  }

  function sums(trace) {
    const { sum: parts } = trace, list = ['unspent', 'service', 'flagged', 'frontier', 'unspendable', 'fees'];
    const coins = kind => trace.coins.filter(coin => kindOf(coin.state) === kind).length;
    const rows = list.map(kind => ({ kind, sat: parts[kind], coins: kind === 'fees' ? '' : coins(kind) }));
    const total = sum(rows, row => row.sat);
    const poison = trace.name === 'poison';
    const box = grid([
      ['where it is', row => [badge(row.kind), ' ', KINDS[row.kind].name]], ['BTC', row => btc(row.sat), 'right'],
      ['share', row => share(row.sat, parts.source), 'right'], ['coins', row => row.coins.toLocaleString('en-US'), 'right'],
      ['', row => KINDS[row.kind].means, 'note'],
    ], rows, { id: 'sum' });
    const verdict = poison ? 'an exposure: the parts need not add up to the source' : total === parts.source ? 'adds up to the source, to the satoshi' : 'DOES NOT ADD UP TO THE SOURCE';
    const foot = (name, sat, text) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'right' }, btc(sat)), el('td', {}), el('td', {}), el('td', { class: 'note' }, text));
    box.querySelector('table').append(el('tfoot', {}, foot('all parts', total, verdict),
      foot('source', parts.source, 'flagged coins, less what came back to them by itself')));
    box.querySelector('table').setAttribute('data-adds-up', String(!poison && total === parts.source));
    return box;
  }

  function services(trace) {
    const groups = new Map();
    for (const coin of trace.coins.filter(coin => coin.state === 'service')) {
      const name = Flow.serviceName(coin);
      if (!groups.has(name)) groups.set(name, { name, coins: [] });
      groups.get(name).coins.push(coin);
    }
    if (!groups.size) return el('p', { class: 'note' }, 'No listed service was reached.');
    const rows = [...groups.values()].map(group => ({ ...group, taint: sum(group.coins, coin => coin.taint) })).sort((a, b) => b.taint - a.taint);
    const times = group => group.coins.map(coin => coin.time).filter(seconds => seconds !== null);
    return grid([
      ['service', row => [badge('service'), ' ', row.name]], ['taint BTC', row => btc(row.taint), 'right'], ['share', row => share(row.taint, trace.sum.source), 'right'],
      ['coins', row => row.coins.length, 'right'], ['first', row => date(times(row).length ? d3.min(times(row)) : null), 'nowrap'],
      ['last', row => date(times(row).length ? d3.max(times(row)) : null), 'nowrap'], ['fewest hops', row => d3.min(row.coins, coin => coin.hops), 'right'],
    ], rows, { id: 'services' });
  }

  function frontier(trace) {
    const rows = Object.entries(REASONS).map(([state, [name, means]]) => ({ name, means, coins: trace.coins.filter(coin => coin.state === state) })).filter(row => row.coins.length);
    if (!rows.length) return el('p', { class: 'note' }, 'Nothing was cut: the trace is followed to its end.');
    return grid([
      ['cut because', row => [badge('frontier'), ' ', row.name]], ['taint BTC', row => btc(sum(row.coins, coin => coin.taint)), 'right'],
      ['coins', row => row.coins.length.toLocaleString('en-US'), 'right'], ['largest BTC', row => btc(d3.max(row.coins, coin => coin.taint)), 'right'], ['', row => row.means, 'note'],
    ], rows, { id: 'frontier' });
  }

  function largest(trace, open) {
    const rows = trace.coins.filter(coin => coin.state === 'unspent').sort((a, b) => b.taint - a.taint || a.id - b.id);
    if (!rows.length) return el('p', { class: 'note' }, 'No coin of this trace is unspent.');
    const top = rows.slice(0, 15), rest = rows.slice(15);
    const columns = coinColumns(trace, open).filter(([title]) => !['state', 'spent by'].includes(title));
    return el('div', {}, grid(columns, top, { id: 'unspent' }),
      rest.length ? el('p', { class: 'note' }, 'And ' + count(rest.length, 'smaller coin') + ' with ' + btc(sum(rest, coin => coin.taint)) + ' BTC, listed below.') : null);
  }

  // Folded until asked for; its rows are made then.
  function details(id, title, make) {
    const holder = el('div', {});
    const box = el('details', { id, ontoggle: () => { if (box.open && !holder.firstChild) holder.append(make()); } }, el('summary', {}, title), holder);
    return box;
  }

  function coins(trace, open) {
    return details('coins', 'All ' + count(trace.coins.length, 'coin') + ' of this trace', () => {
      const holder = el('div', {}), columns = coinColumns(trace, open);
      const states = [...new Set(trace.coins.map(coin => coin.state))];
      const text = el('input', { type: 'search', 'aria-label': 'Search', placeholder: 'transaction, address, label', spellcheck: 'false' });
      const state = el('select', { 'aria-label': 'State' }, el('option', { value: '' }, 'every state'), states.map(name => el('option', { value: name }, name.replaceAll('_', ' '))));
      const order = el('select', { 'aria-label': 'Order' }, el('option', { value: 'chain' }, 'in chain order'), el('option', { value: 'taint' }, 'largest taint first'));
      const fill = () => {
        const wanted = text.value.trim().toLowerCase();
        const within = coin => [coin.outpoint, coin.holder, ...coin.labels, coin.by === null ? '' : trace.txs.get(coin.by).txid].some(part => part.toLowerCase().includes(wanted));
        const rows = trace.coins.filter(coin => (!state.value || coin.state === state.value) && (!wanted || within(coin)));
        if (order.value === 'taint') rows.sort((a, b) => b.taint - a.taint || a.id - b.id);
        holder.replaceChildren(long(columns, rows, { id: 'all-coins' }));
      };
      for (const control of [text, state, order]) control.addEventListener('input', fill);
      fill();
      return el('div', {}, el('p', { class: 'controls' }, text, state, order), holder);
    });
  }

  function transactions(trace, open) {
    return details('transactions', 'All ' + count(trace.order.length, 'transaction') + ' that moved it', () => long([
      ['transaction', tx => el('button', { type: 'button', class: 'link-like', onclick: () => open(tx.tx) }, tx.txid), 'mono'], ['date (UTC)', tx => time(tx.time), 'nowrap'],
      ['block', tx => tx.height, 'right'], ['tainted inputs', tx => tx.ins.length, 'right'], ['taint in BTC', tx => btc(tx.taint), 'right'],
      ['tainted outputs', tx => tx.outs.length, 'right'], ['taint in fee BTC', tx => btc(tx.fee), 'right'], ['labels', tx => tx.labels.join('; ')],
    ], trace.order, { id: 'all-transactions' }));
  }

  function days(rows) {
    return details('days', 'The balance block by block', () => long([
      ['block', row => row.height < 0 ? '–' : row.height, 'right'], ['date (UTC)', row => time(row.time), 'nowrap'], ['new taint BTC', row => btc(row.into), 'right'],
      ['spent BTC', row => btc(row.out), 'right'], ['unspent BTC', row => btc(row.unspent), 'right'], ['to services so far BTC', row => btc(row.reached), 'right'],
    ], rows, { id: 'all-days' }));
  }

  return { grid, long, coinColumns, sums, services, frontier, largest, coins, transactions, days, details };
})();
