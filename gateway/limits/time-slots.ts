// Items by the time at which they are due, in slots: adding and finding cost the same however many there are.
// Must not run a timer; who owns it asks what is due.

/** Width of a slot: how late an item may be found due. */
const SLOT_MS = 100;

/** Holds items until they are due. */
export class TimeSlots<Item> {
  readonly #slots = new Map<number, Item[]>();
  #next = 0;

  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** Adds an item that is due at `atMs`. */
  add(item: Item, atMs: number): void {
    const slot = Math.floor(atMs / SLOT_MS) + 1;
    if (this.isEmpty || slot < this.#next) this.#next = slot;
    const items = this.#slots.get(slot);
    if (items) items.push(item);
    else this.#slots.set(slot, [item]);
  }

  /** Takes out what is due, at most a slot late. */
  takeDue(nowMs: number): Item[] {
    const due: Item[] = [];
    for (; !this.isEmpty && this.#next * SLOT_MS <= nowMs; this.#next++) {
      for (const item of this.#slots.get(this.#next) ?? []) due.push(item);
      this.#slots.delete(this.#next);
    }
    return due;
  }
}
