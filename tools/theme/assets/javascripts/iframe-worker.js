/* Search from a file manager: a browser starts no worker from a file, so a hidden frame does its work.
   The theme would load such a script from another host. It asks for the name IFrameWorker. */
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    this.ready = new Promise((done) => (this.frame.onload = done));
    document.body.appendChild(this.frame);
    const page = this.frame.contentDocument;
    page.open();
    page.write(`<html><body><script>
      postMessage = parent.postMessage.bind(parent)
      importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done) => {
        const script = document.createElement("script")
        script.src = url
        script.onload = done
        document.body.appendChild(script)
      })), Promise.resolve())
    <\/script><script src="${url}"><\/script></body></html>`);
    page.close();
    this.heard = (event) => {
      if (event.source !== this.frame.contentWindow && event.source !== window) return;
      const message = new MessageEvent("message", { data: event.data });
      this.dispatchEvent(message);
      if (this.onmessage) this.onmessage(message);
    };
    window.addEventListener("message", this.heard);
  }
  postMessage(data) {
    this.ready.then(() =>
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) })),
    );
  }
  terminate() {
    window.removeEventListener("message", this.heard);
    this.frame.remove();
  }
}
window.IFrameWorker = IFrameWorker;
if (location.protocol === "file:") window.Worker = IFrameWorker;
