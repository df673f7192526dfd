// The key of this tab. It lives in sessionStorage: gone with the tab, never in a URL, never on disk in a cookie.

const name = "aitbc.key";

export function savedKey() {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null; // storage may be forbidden; the key then lasts until the page is reloaded
  }
}

export function saveKey(key) {
  try {
    if (key === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, key);
  } catch {
    // as above
  }
}

/// What is wrong with a typed key, or null. Header values take visible ASCII only.
export function keyProblem(key) {
  if (key === "") return "Enter a key.";
  if (!/^[\x21-\x7e]+$/.test(key)) return "A key has no spaces or special characters. Was it copied whole?";
  return key.length > 256 ? "That is too long for a key." : null;
}
