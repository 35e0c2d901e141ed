// Whether the browser's fonts have a picture for an emoji. Otherwise it would be an empty box.

const SIZE = 24;
const known = new Map();
const canvas = document.createElement("canvas");
canvas.width = canvas.height = SIZE;
const pen = canvas.getContext("2d", { willReadFrequently: true });

// A code point that no font may have: https://www.unicode.org/faq/private_use.html#nonchar1
const MISSING = "\u{10FFFF}";

function picture(text) {
  pen.clearRect(0, 0, SIZE, SIZE);
  pen.font = `${SIZE - 6}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  pen.fillText(text, 0, 2);
  return pen.getImageData(0, 0, SIZE, SIZE).data.join();
}

export function isDrawn(emoji) {
  if (!emoji) return false;
  if (!known.has(emoji)) {
    const first = picture([...emoji][0]);
    known.set(emoji, first !== picture(MISSING) && first !== picture(" "));
  }
  return known.get(emoji);
}
