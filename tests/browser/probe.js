// What is wrong with the page as it is laid out now: a list of sentences, empty where nothing is. Needs no network and
// changes nothing. Evaluated in the page by tests/browser/mod.rs.
(() => {
  const problems = [];
  const say = (text) => { if (problems.length < 20) problems.push(text); };
  const name = (element) => `<${element.tagName.toLowerCase()}> ${element.textContent.trim().slice(0, 40)}`;

  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) {
    say(`the page is ${document.documentElement.scrollWidth} wide in a window of ${width}`);
  }

  // Contrast by WCAG 2: 4.5 for text, 3 for the lines of charts.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const [r, g, b] = [...rgb(colour)].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const seen = new Set();
  const require = (element, colour, least) => {
    const back = background(element);
    const key = `${colour} on ${back}`;
    if (seen.has(key)) return;
    seen.add(key);
    const found = contrast(colour, back);
    if (found < least) say(`contrast ${found.toFixed(2)}, below ${least}: ${key}: ${name(element)}`);
  };
  for (const element of document.querySelectorAll("h1,h2,h3,p,dt,dd,figcaption,li,th,td,summary,footer")) {
    require(element, getComputedStyle(element).color, 4.5);
  }

  for (const chart of document.querySelectorAll("svg.chart")) {
    const title = chart.getAttribute("aria-label");
    const box = chart.getBoundingClientRect();
    const inside = (r) => r.left >= box.left - 1 && r.right <= box.right + 1 && r.top >= box.top - 1 && r.bottom <= box.bottom + 1;
    const texts = [...chart.querySelectorAll("text")];
    const boxes = texts.map((text) => text.getBoundingClientRect());
    const scale = box.width / chart.viewBox.baseVal.width;
    texts.forEach((text, i) => {
      const size = parseFloat(getComputedStyle(text).fontSize) * scale;
      if (size < 10) say(`${title}: text of ${size.toFixed(1)} px: ${name(text)}`);
      if (!inside(boxes[i])) say(`${title}: cut off: ${name(text)}`);
      require(chart, getComputedStyle(text).fill, 4.5);
      for (let j = 0; j < i; j++) {
        const [a, b] = [boxes[i], boxes[j]];
        const overlap = a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        if (overlap) say(`${title}: ${name(text)} stands on ${name(texts[j])}`);
      }
    });
    if (texts.length < 4) say(`${title}: hardly any labels`);
    for (const line of chart.querySelectorAll("polyline[points]")) {
      const style = getComputedStyle(line);
      if (parseFloat(style.strokeWidth) * scale > 1.5) require(chart, style.stroke, 3);
    }
  }
  for (const swatch of document.querySelectorAll(".legend line")) {
    require(swatch.closest("figure"), getComputedStyle(swatch).stroke, 3);
  }
  return problems;
})()
