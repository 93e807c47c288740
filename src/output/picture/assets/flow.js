// The graph behind the picture: which transaction feeds which, and which of them are drawn one by one. Knows nothing of the page.
'use strict';
const Flow = (() => {
  const { short, sum, REASONS, kindOf } = Base;
  // Columns that a picture of at most so many transactions may have, sources and ends aside.
  const columnsFor = most => most <= 40 ? 7 : most <= 100 ? 11 : 20;
  const MOST_SOURCES = 6, MOST_UNSPENT = 4, MOST_NAMED = 5;

  // The rows of one rule, as data.rs wrote them.
  function read(data, number) {
    const rule = data.rules[number];
    const scripts = data.scripts.map(([script, address, labels]) => ({ script, address, labels }));
    const coins = rule.coins.map((row, id) => {
      const [tx, vout, height, time, value, taint, carried, hops, script, state, by, vin, spentAt] = row;
      const where = scripts[script];
      return {
        id, tx, vout, height, time, value, taint, carried, hops, state, by, vin, spentAt, where,
        outpoint: data.txids[tx] + ':' + vout, holder: where.address || where.script, labels: where.labels,
      };
    });
    const txs = new Map();
    const add = (tx, height, index, time, fee) => {
      txs.set(tx, { tx, txid: data.txids[tx], height, index, time, fee, ins: [], outs: [], parents: new Set(), children: new Set() });
    };
    for (const [tx, height, index, time, fee] of rule.moves) add(tx, height, index, time, fee);
    for (const coin of coins) {
      if (coin.state !== 'spent') { coin.by = null; continue; }
      if (!txs.has(coin.by)) add(coin.by, coin.spentAt, 0, null, 0);
      txs.get(coin.by).ins.push(coin);
    }
    for (const coin of coins) {
      if (coin.carried > 0 && txs.has(coin.tx)) txs.get(coin.tx).outs.push(coin);
      else coin.carried = 0;
    }
    const order = [...txs.values()].sort((a, b) => a.height - b.height || a.index - b.index);
    for (const tx of order) {
      tx.ins.sort((a, b) => a.vin - b.vin);
      tx.outs.sort((a, b) => a.vout - b.vout);
      tx.taint = sum(tx.ins, coin => coin.taint);
      tx.hops = tx.ins.reduce((least, coin) => Math.min(least, coin.hops), Infinity) + 1;
      tx.labels = [...new Set(tx.outs.filter(coin => coin.state !== 'service').flatMap(coin => coin.labels))];
      for (const coin of tx.ins) {
        if (coin.carried > 0) { tx.parents.add(coin.tx); txs.get(coin.tx).children.add(tx.tx); }
      }
    }
    return { name: rule.rule, sum: rule.sum, coins, txs, order, pieces: pieces(coins, order) };
  }

  // Taint on its way: from a transaction or a source's coin, to a transaction, a coin that stays, or the fees.
  function pieces(coins, order) {
    const list = [];
    for (const coin of coins) {
      const to = coin.by !== null ? { tx: coin.by } : { coin };
      const fresh = coin.hops === 0 ? coin.taint - coin.carried : 0;
      if (coin.carried > 0) list.push({ from: { tx: coin.tx }, to, value: coin.carried, coin });
      if (fresh > 0) list.push({ from: { coin }, to, value: fresh, coin });
    }
    for (const tx of order) {
      if (tx.fee > 0) list.push({ from: { tx: tx.tx }, to: { fees: true }, value: tx.fee, coin: null, payer: tx });
    }
    return list;
  }

  // Each unit is one transaction, or several that follow each other with no other between them.
  function unitsOf(trace, joined, pinned) {
    const units = [], of = new Map();
    const next = tx => {
      if (!joined || pinned.has(tx.tx) || tx.children.size !== 1) return null;
      const child = trace.txs.get([...tx.children][0]);
      return child.parents.size === 1 && !pinned.has(child.tx) ? child : null;
    };
    for (const tx of trace.order) {
      if (of.has(tx.tx)) continue;
      const txs = [tx];
      for (let last = next(tx); last; last = next(last)) txs.push(last);
      for (const group of txs.length > 2 ? [txs] : txs.map(one => [one])) {
        const unit = { txs: group, level: 0, parents: new Set(), taint: 0 };
        units.push(unit);
        for (const member of group) of.set(member.tx, unit);
      }
    }
    for (const unit of units) {
      for (const tx of unit.txs) {
        for (const coin of tx.ins) {
          const parent = coin.carried > 0 ? of.get(coin.tx) : null;
          if (parent === unit) continue;
          unit.taint += coin.taint;
          if (parent) unit.parents.add(parent);
        }
      }
    }
    // Longest way from a source. Units go in the order of their first transaction, a parent's last may come later: so, by need.
    const open = units.map(unit => [unit, false]).reverse(), done = new Set();
    while (open.length) {
      const [unit, ready] = open.pop();
      if (done.has(unit)) continue;
      if (ready) {
        for (const parent of unit.parents) unit.level = Math.max(unit.level, parent.level + 1);
        done.add(unit);
      } else {
        open.push([unit, true]);
        for (const parent of unit.parents) if (!done.has(parent)) open.push([parent, false]);
      }
    }
    return units;
  }

  const top = units => units.reduce((most, unit) => Math.max(most, unit.level), 0);

  // Which units are drawn by themselves. Those between the levels of two that are become one fold: levels only ever go up along
  // the flow, so whatever is put together this way, money never runs in a circle.
  function choose(trace, most, pinned) {
    let units = unitsOf(trace, false, pinned);
    if (units.length <= most && top(units) < columnsFor(most)) return { shown: units, folds: [] };
    units = unitsOf(trace, true, pinned);
    const last = top(units);
    // What is folded between two levels takes a column of its own.
    const columns = levels => {
      const all = [...levels].sort((a, b) => a - b);
      return all.length + all.filter((level, number) => (number + 1 < all.length ? all[number + 1] : last + 1) > level + 1).length + (all[0] > 0 ? 1 : 0);
    };
    const isPinned = unit => unit.txs.some(tx => pinned.has(tx.tx));
    const order = units.slice().sort((a, b) => isPinned(b) - isPinned(a) || b.taint - a.taint || a.level - b.level);
    const shown = new Set(), taken = new Map(), least = trace.sum.source / 2000;
    for (const unit of order) {
      const wanted = isPinned(unit);
      const beside = taken.get(unit.level) || 0;
      if (!wanted && (shown.size >= most || beside >= most / 4 || unit.taint < least && shown.size > 8)) continue;
      if (!wanted && !beside && columns([...taken.keys(), unit.level]) > columnsFor(most)) continue;
      shown.add(unit);
      taken.set(unit.level, beside + 1);
    }
    const starts = [...taken.keys()].sort((a, b) => a - b), bands = new Map();
    for (const unit of units) {
      if (shown.has(unit)) continue;
      let band = -1;
      while (band + 1 < starts.length && starts[band + 1] <= unit.level) band += 1;
      if (!bands.has(band)) bands.set(band, []);
      bands.get(band).push(unit);
    }
    const folds = [];
    for (const members of bands.values()) {
      if (members.length === 1) shown.add(members[0]);
      else folds.push(members);
    }
    return { shown: [...shown], folds };
  }

  // What a picture of at most so many single transactions shows: nodes, links with the pieces in them, and what was folded.
  function draw(trace, most, pinned) {
    const { shown, folds } = choose(trace, most, pinned);
    const nodes = new Map(), ofTx = new Map();
    const node = (id, make) => {
      if (!nodes.has(id)) nodes.set(id, { id, txs: [], coins: new Set(), labels: [], ...make() });
      return nodes.get(id);
    };
    for (const unit of shown) {
      const [first] = unit.txs, kind = unit.txs.length > 1 ? 'chain' : 'tx';
      const drawn = node('tx' + first.tx, () => ({ kind, title: kind === 'tx' ? short(first.txid) : '' , txs: unit.txs }));
      for (const tx of unit.txs) ofTx.set(tx.tx, drawn);
    }
    folds.forEach((members, number) => {
      const txs = members.flatMap(unit => unit.txs);
      const drawn = node('fold' + number, () => ({ kind: 'fold', title: '', txs }));
      for (const tx of txs) ofTx.set(tx.tx, drawn);
    });
    for (const drawn of nodes.values()) drawn.labels = [...new Set(drawn.txs.flatMap(tx => tx.labels))];
    const sources = grouped(trace.pieces.filter(piece => piece.from.coin), piece => piece.from.coin.holder, MOST_SOURCES);
    const ends = endsOf(trace);
    const links = new Map();
    for (const piece of trace.pieces) {
      const from = piece.from.tx !== undefined ? ofTx.get(piece.from.tx) : startNode(piece, sources, node);
      const to = piece.to.tx !== undefined ? ofTx.get(piece.to.tx) : endNode(piece, ends, node);
      if (piece.coin) { from.coins.add(piece.coin); to.coins.add(piece.coin); }
      if (from === to) continue;
      const id = from.id + '>' + to.id;
      if (!links.has(id)) links.set(id, { id, source: from.id, target: to.id, value: 0, pieces: [] });
      const link = links.get(id);
      link.value += piece.value;
      link.pieces.push(piece);
    }
    const single = [...nodes.values()].filter(drawn => drawn.kind === 'tx').length;
    const hidden = [...nodes.values()].filter(drawn => drawn.kind === 'fold' || drawn.kind === 'chain');
    return { nodes: [...nodes.values()], links: [...links.values()], single, hidden };
  }

  // The largest groups by name; `null` for the name of all others together.
  function grouped(list, name, most) {
    const groups = new Map();
    for (const piece of list) groups.set(name(piece), (groups.get(name(piece)) || 0) + piece.value);
    const order = [...groups].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([key]) => key);
    // One left over is shown as itself.
    const kept = order.length <= most + 1 ? order : order.slice(0, most);
    return { kept: new Set(kept), others: order.length - kept.length };
  }

  const serviceName = coin => coin.labels.length ? coin.labels.join('; ') : coin.holder;

  function endsOf(trace) {
    const stay = state => trace.pieces.filter(piece => piece.to.coin && piece.to.coin.state === state);
    return {
      unspent: grouped(stay('unspent'), piece => piece.to.coin.holder, MOST_UNSPENT),
      service: grouped(stay('service'), piece => serviceName(piece.to.coin), MOST_NAMED),
      flagged: grouped(stay('flagged'), piece => serviceName(piece.to.coin), MOST_NAMED),
    };
  }

  function startNode(piece, sources, node) {
    const coin = piece.from.coin, own = sources.kept.has(coin.holder);
    const title = own ? coin.holder : 'other sources (' + sources.others + ')';
    const made = node(own ? 'source:' + coin.holder : 'sources', () => ({ kind: 'source', title }));
    if (own) made.labels = coin.labels;
    return made;
  }

  function endNode(piece, ends, node) {
    if (piece.to.fees) return node('fees', () => ({ kind: 'fees', title: 'fees' }));
    const coin = piece.to.coin, kind = kindOf(coin.state);
    if (kind === 'frontier') return node('frontier:' + coin.state, () => ({ kind, title: 'frontier: ' + REASONS[coin.state][0] }));
    if (kind === 'unspendable') return node(kind, () => ({ kind, title: kind }));
    const name = kind === 'unspent' ? coin.holder : serviceName(coin), group = ends[kind];
    if (!group.kept.has(name)) {
      const what = { unspent: 'other unspent coins', service: 'other services (' + group.others + ')', flagged: 'other flagged (' + group.others + ')' };
      return node(kind + 's', () => ({ kind, title: what[kind], rest: group.others }));
    }
    const made = node(kind + ':' + name, () => ({ kind, title: name }));
    made.labels = kind === 'unspent' ? coin.labels : [];
    return made;
  }

  // Unspent taint, and what reached services, block by block. Times of blocks may step back; the line never does.
  function balance(trace) {
    const steps = new Map();
    const at = (height, time) => {
      if (!steps.has(height)) steps.set(height, { height, time: null, into: 0, out: 0, service: 0 });
      const step = steps.get(height);
      if (step.time === null) step.time = time;
      return step;
    };
    for (const coin of trace.coins) {
      const height = coin.height === null ? -1 : coin.height;
      if (coin.state === 'service') at(height, coin.time).service += coin.taint;
      if (coin.state === 'spent' || coin.state === 'unspent') at(height, coin.time).into += coin.taint;
      if (coin.by !== null) at(coin.spentAt, trace.txs.get(coin.by).time).out += coin.taint;
    }
    let unspent = 0, service = 0, clock = null;
    const rows = [...steps.values()].sort((a, b) => a.height - b.height);
    const first = rows.find(step => step.time !== null);
    for (const step of rows) {
      if (step.time === null && first && clock === null) clock = first.time;
      clock = step.time === null ? clock : Math.max(clock === null ? step.time : clock, step.time);
      unspent += step.into - step.out;
      service += step.service;
      Object.assign(step, { clock, unspent, reached: service });
    }
    return rows;
  }

  return { read, draw, balance, serviceName };
})();
