// The page's side of the worker: questions get numbers, and answers come back as promises.

import { NotRead } from "./notread.js";

const text = (id) => document.getElementById(id).textContent;
// A module with one instruction of 128 bits: what a browser that knows them calls valid.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

export class Asking {
  constructor(facts) {
    this.facts = facts;
    this.waiting = new Map();
    this.count = 0;
  }

  // Whether this browser can run the network at all.
  static possible() {
    return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(SIMD))
      && typeof DecompressionStream === "function" && typeof OffscreenCanvas === "function";
  }

  async start() {
    const url = URL.createObjectURL(new Blob([text("worker")], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => this.giveUp(event.message ?? "");
    await this.ask({ start: { engine: text("engine"), packed: text("network"), neighbours: text("neighbours"), facts: this.facts } });
    URL.revokeObjectURL(url);
  }

  // { blob }, { bitmap } or { drawing } → what the worker answers.
  ask(question, moved = []) {
    return new Promise((done, failed) => {
      const id = (this.count += 1);
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, ...question }, moved);
    });
  }

  hear({ id, done, failed, values }) {
    const one = this.waiting.get(id);
    this.waiting.delete(id);
    if (failed) one.failed(new NotRead(failed, values));
    else one.done(done);
  }

  giveUp(reason) {
    for (const one of this.waiting.values()) one.failed(new NotRead("broken", { reason }));
    this.waiting.clear();
  }
}
