/**
 * Play and pause: calls `work(deadline)` in every frame while playing, for at most `budget` ms a frame, then `draw()`.
 * `work` looks at performance.now() and returns before the deadline; returning false pauses. Nothing runs while the page
 * or the widget is out of sight. With prefers-reduced-motion the picture changes twice a second instead of every frame.
 */
export function loop({ element, work, draw, budget = 12, onChange = () => {} }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let playing = false;
  let visible = true;
  let frame = 0;
  let drawn = 0;
  const watch = new IntersectionObserver((entries) => {
    visible = entries[entries.length - 1].isIntersecting;
    schedule();
  });
  watch.observe(element);

  function schedule() {
    if (playing && visible && !frame) frame = requestAnimationFrame(tick);
  }
  function tick(now) {
    frame = 0;
    if (!playing) return;
    const more = work(performance.now() + budget) !== false;
    if (!calm.matches || now - drawn >= 500 || !more) {
      drawn = now;
      draw();
    }
    if (more) schedule();
    else set(false);
  }
  function set(wanted) {
    if (playing === wanted) return;
    playing = wanted;
    schedule();
    onChange(playing);
    if (!playing) draw();
  }
  return {
    get playing() {
      return playing;
    },
    play: () => set(true),
    pause: () => set(false),
    toggle: () => set(!playing),
    stop() {
      set(false);
      cancelAnimationFrame(frame);
      watch.disconnect();
    },
  };
}
