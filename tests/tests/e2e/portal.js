// What a person could not use on this page; an empty list is a good page. Evaluated by portal.rs.
(() => {
  const faults = [];
  const root = document.documentElement;
  const shown = (element) => element.getClientRects().length > 0;
  const named = (element) => (element.getAttribute('aria-label') || element.textContent || '').trim();
  if (!root.lang) faults.push('the page does not say its language');
  if (!document.title.trim()) faults.push('the page has no title');
  if (document.querySelectorAll('h1').length !== 1) faults.push('the page has not one heading but ' + document.querySelectorAll('h1').length);
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll('body *')].filter((element) => shown(element) &&
      element.getBoundingClientRect().right > root.clientWidth + 1 && !element.closest('.scroll'));
    faults.push('the page is ' + root.scrollWidth + ' pixels wide of ' + root.clientWidth + ': ' +
      wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 80)).join(' | '));
  }
  for (const link of document.querySelectorAll('a')) {
    if (!named(link)) faults.push('a link without a name: ' + link.outerHTML.slice(0, 80));
  }
  for (const field of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!field.labels.length && !field.getAttribute('aria-label')) faults.push('a field without a label: ' + field.name);
  }
  for (const picture of document.querySelectorAll('svg')) {
    if (!picture.querySelector('title') && !picture.getAttribute('aria-label') && !picture.getAttribute('aria-labelledby') && picture.getAttribute('aria-hidden') !== 'true') {
      faults.push('a picture without a title');
    }
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids)) {
    if (ids.filter((other) => other === id).length > 1) faults.push('two elements have the id ' + id);
  }

  // Contrast of text, WCAG 2.2, 1.4.3: 4.5 to 1, or 3 to 1 from 24 pixels on.
  const parsed = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !shown(element)) continue;
    const style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    if (colour === 'none') continue;
    const [a, b] = [light(parsed(colour)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    const what = colour + ' on ' + ground(element).join(',');
    if (ratio < least && !seen.has(what)) {
      seen.add(what);
      faults.push('text of contrast ' + ratio.toFixed(2) + ' (' + what + '): ' + texts.currentNode.data.trim().slice(0, 40));
    }
  }
  return faults;
})()
