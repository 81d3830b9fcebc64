// Why a picture could not be read: `code` names a text of the page, `values` fill it.

export class NotRead extends Error {
  constructor(code, values = {}) {
    super(code);
    this.code = code;
    this.values = values;
  }
}
