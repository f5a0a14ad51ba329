const TAKES = ["click", "input"]; // what a reader does with a control, by whatever means

/**
 * Play by itself while `picture` is in view, for at most `seconds`: until the reader uses a control of `element`, never with
 * prefers-reduced-motion, and only once. `player` is a `loop`. `own` says whether what plays was not asked for.
 */
export function autoplay({ element, picture, player, seconds = 60 }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let own = false;
  let left = 1000 * seconds;
  let since = 0;
  let timer = 0;
  const watch = new IntersectionObserver((entries) => {
    if (entries[entries.length - 1].intersectionRatio >= 0.2) start();
    else pause();
  }, { threshold: [0, 0.2] });

  function start() {
    if (own || player.playing || left <= 0 || calm.matches) return;
    own = true;
    since = performance.now();
    timer = setTimeout(end, left);
    player.play();
  }
  function pause() {
    if (!own) return;
    clearTimeout(timer);
    left -= performance.now() - since;
    player.pause();
    own = false;
  }
  function end() {
    pause();
    stop();
  }
  /** The reader takes over: what they press does what it says, with what plays as it is. */
  function yieldTo({ target }) {
    if (!target.closest("button, input, select")) return;
    clearTimeout(timer);
    own = false;
    stop();
  }
  function stop() {
    clearTimeout(timer);
    watch.disconnect();
    calm.removeEventListener("change", end);
    for (const each of TAKES) element.removeEventListener(each, yieldTo, true);
  }
  for (const each of TAKES) element.addEventListener(each, yieldTo, true);
  calm.addEventListener("change", end);
  watch.observe(picture);
  return {
    get own() {
      return own;
    },
    stop,
  };
}
