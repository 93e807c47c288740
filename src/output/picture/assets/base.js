// What all parts of the page share: elements, amounts, dates, the words and signs of each state. Text only ever goes in as text.
'use strict';
const Base = (() => {
  const SVG = 'http://www.w3.org/2000/svg';

  // An element: attributes by name, a function for `onEVENT`; children are elements or texts.
  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === 'function') node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? '' : String(value));
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return node;
  }
  const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

  // Satoshis as bitcoins with eight decimals. Sums under `poison` may leave what a number holds exactly; then it says so.
  function btc(sat) {
    const exact = Number.isSafeInteger(sat);
    const whole = Math.floor(sat / 1e8);
    return (exact ? '' : '≈ ') + whole + '.' + String(Math.round(sat - whole * 1e8)).padStart(8, '0');
  }
  const share = (part, whole) => {
    if (!whole) return '–';
    const percent = part / whole * 100;
    if (part > 0 && percent < 0.01) return '< 0.01 %';
    return percent.toFixed(percent < 9.995 ? 2 : 1) + ' %';
  };
  const count = (number, one, many) => number.toLocaleString('en-US') + ' ' + (number === 1 ? one : many || one + 's');
  const iso = seconds => new Date(seconds * 1000).toISOString();
  const known = seconds => seconds !== null && Math.abs(seconds) < 8.64e12;
  const date = seconds => known(seconds) ? iso(seconds).slice(0, 10) : '–';
  const time = seconds => known(seconds) ? iso(seconds).slice(0, 19).replace('T', ' ') : '–';
  const short = text => text.length > 18 ? text.slice(0, 6) + '…' + text.slice(-4) : text;
  const clip = (text, most) => {
    const letters = Array.from(text);
    return letters.length > most ? letters.slice(0, most - 1).join('') + '…' : text;
  };
  const sum = (list, value) => list.reduce((total, item) => total + value(item), 0);

  // Kinds of node: what they are called, what the sign beside them looks like (12 by 12), what they mean.
  const KINDS = {
    source: { name: 'source', sign: 'M2.5 11.5V1M2.5 1.5H10L8 4l2 2.5H2.5', means: 'flagged coins, where this trace starts' },
    tx: { name: 'transaction', sign: 'M1.5 3h9M1.5 9h9M8 .8 10.7 3 8 5.2M4 6.8 1.3 9 4 11.2', means: 'one transaction that spent tainted coins' },
    chain: { name: 'chain', sign: 'M1 4h4v4H1zM7 4h4v4H7zM5 6h2', means: 'transactions one after another, folded' },
    fold: { name: 'folded', sign: 'M1 3.5 6 1l5 2.5L6 6zM1 6l5 2.5L11 6M1 8.5 6 11l5-2.5', means: 'several transactions side by side, folded' },
    unspent: { name: 'unspent', sign: 'M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1zM6 3.7a2.3 2.3 0 1 0 0 4.6a2.3 2.3 0 1 0 0-4.6z', means: 'still there: nobody has spent it' },
    service: { name: 'service', sign: 'M.8 4.5 6 1l5.2 3.5zM2.5 5v4.5M6 5v4.5M9.5 5v4.5M.8 11h10.4', means: 'paid to a listed service: a possible cash-out; the trace stops there' },
    flagged: { name: 'flagged', sign: 'M4 .8h4L11.2 4v4L8 11.2H4L.8 8V4zM3.5 6h5', means: 'on another flagged script, where this question stops' },
    frontier: { name: 'frontier', sign: 'M.5 6h3M8.5 6h3M3.5 10.5l2-9M6.5 10.5l2-9', means: 'cut here: the trace does not go on, for the reason given' },
    unspendable: { name: 'unspendable', sign: 'M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1zM2.5 9.5l7-7', means: 'can never be spent' },
    fees: { name: 'fees', sign: 'M1 11 8 4M3.5 1.8C7 1 11 5 10.2 8.5', means: 'paid to miners; a fee is not followed' },
  };
  const REASONS = {
    below_min_taint: ['too little taint', 'coins with less taint than the gate were not followed'],
    max_hops: ['too many hops', 'coins further from their source than the gate were not followed'],
    anyone_can_spend: ['anyone can spend', 'coins on an empty script are not followed'],
    too_fragmented: ['too fragmented', 'coins with over 1,024 runs of tainted and clean satoshis were not followed'],
    not_followed: ['not followed', 'the index did not look for their spend: the answer is not complete'],
  };
  const RULES = {
    poison: 'every output of a transaction with a tainted input is wholly tainted: an exposure, never an amount; parts need not add up',
    haircut: 'each output, and the fee, gets its share of the taint in proportion to its value (pari passu)',
    fifo: 'first in, first out: outputs take the inputs’ satoshis in their order, the fee gets what is left',
    lifo: 'last in, first out: outputs take the inputs’ satoshis from the last input on, the fee gets what is left',
    tiho: 'taint in, highest out: the tainted sum fills the outputs from the largest down',
  };
  const kindOf = state => state in REASONS ? 'frontier' : state;
  const sign = kind => svg('path', { class: 'sign', d: KINDS[kind].sign });
  const badge = kind => svg('svg', { class: 'badge k-' + kind, viewBox: '-1 -1 14 14', width: 14, height: 14, 'aria-hidden': 'true' }, sign(kind));

  return { el, svg, btc, share, count, date, time, short, clip, sum, KINDS, REASONS, RULES, kindOf, sign, badge };
})();
