// Widgets on a page without a kernel. Every widget of this book is an anywidget: an ES module with a `render` function
// that is given a model (get, set, on, off, save_changes, send) and an element. The page carries the models' state;
// this loader gives each module such a model. Modules, styles and the large assets a widget may ask for are files of
// this site, written by book/_ext/widget_pages.py. The state's `_files` says which file holds an asset; without it the
// file has the asset's name.
(() => {
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const STATE = "application/vnd.jupyter.widget-state+json";
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const models = new Map();
  const files = new Map();

  // A script, not fetch: it also works on pages opened from the disk.
  globalThis.ganlibFile = (name, text) => files.get(name).resolve(text);
  function file(name) {
    if (!files.has(name)) {
      const waiting = {};
      waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }));
      files.set(name, waiting);
      const script = document.createElement("script");
      script.src = `${here}widgets/${encodeURIComponent(name)}.js`;
      script.onerror = () => {
        waiting.reject(new Error(`${script.src} could not be loaded`));
        files.delete(name);
      };
      document.head.append(script);
    }
    return files.get(name).promise;
  }

  function toBytes(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }

  class Model {
    constructor({ state, buffers = [] }) {
      this.state = { ...state };
      this.listeners = new Map();
      for (const { path, data } of buffers) {
        const last = path[path.length - 1];
        const owner = path.slice(0, -1).reduce((value, key) => value[key], this.state);
        owner[last] = new DataView(toBytes(data).buffer);
      }
    }

    get(name) {
      return this.state[name];
    }

    set(name, value) {
      if (typeof name === "object") {
        for (const [each, its] of Object.entries(name)) this.set(each, its);
      } else if (this.state[name] !== value) {
        this.state[name] = value;
        this.emit(`change:${name}`, this, value);
        this.emit("change", this);
      }
    }

    save_changes() {}

    on(event, callback) {
      for (const each of event.split(" ")) this.listeners.set(each, [...(this.listeners.get(each) ?? []), callback]);
    }

    off(event, callback) {
      const keep = (each) => callback && each !== callback;
      if (event) this.listeners.set(event, (this.listeners.get(event) ?? []).filter(keep));
      else this.listeners.clear();
    }

    emit(event, ...rest) {
      for (const callback of this.listeners.get(event) ?? []) callback(...rest);
    }

    send(content) {
      if (!content || !content.want) return;
      file((this.state._files ?? {})[content.want] ?? content.want).then(
        (base64) => this.emit("msg:custom", { have: content.want }, [new DataView(toBytes(base64).buffer)]),
        (error) => this.emit("msg:custom", { have: content.want, error: error.message }, []),
      );
    }
  }

  const modules = new Map();
  function load(source) {
    if (!modules.has(source)) {
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      modules.set(source, import(address).finally(() => URL.revokeObjectURL(address)));
    }
    return modules.get(source);
  }

  // A module or style is in the state itself, or in a file of this site.
  const text = (value) => (value && value.file ? file(value.file) : value);

  const styles = new Set();
  async function show(script, packed) {
    const { model_id: id } = JSON.parse(script.textContent);
    if (!packed[id] || !packed[id].state._esm) throw new Error(`the page has no widget ${id}`);
    const known = models.get(id);
    const model = known ?? new Model(packed[id]);
    models.set(id, model);
    const css = await text(model.get("_css"));
    if (css && !styles.has(css)) {
      styles.add(css);
      document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    }
    const { default: widget } = await load(await text(model.get("_esm")));
    const { initialize, render } = typeof widget === "function" ? await widget() : widget;
    if (!known && initialize) await initialize({ model });
    const el = document.createElement("div");
    script.after(el);
    await render({ model, el });
  }

  async function start() {
    const state = document.querySelector(`script[type="${STATE}"]`);
    if (!state) return;
    let packed;
    for (const script of document.querySelectorAll(`script[type="${VIEW}"]`)) {
      // One after another, each in a task of its own: the page stays free for its reader meanwhile.
      await new Promise((resolve) => setTimeout(resolve));
      try {
        packed ??= JSON.parse(state.textContent).state;
        await show(script, packed);
      } catch (error) {
        console.error(error);
        const note = document.createElement("p");
        note.textContent = `This widget cannot be shown: ${error.message}`;
        script.after(note);
      }
    }
    document.documentElement.dataset.ganlibWidgets = "ready";
  }

  if (document.readyState === "complete") start();
  else addEventListener("load", start);
})();
