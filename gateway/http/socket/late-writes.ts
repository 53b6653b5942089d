// Writes that go out together at the end of a turn of the event loop.
// Must not hold anything longer than the turn.
import type { Socket } from 'node:net';

/**
 * Sockets that wait at most: beyond, they are written at once, or a busy turn would keep its first answer until its last.
 * Nearly all of the gain is there with a few.
 */
const MAX_WAITING = 32;

/** Is what writes a head whose body has not come; nothing, when it has. */
export interface HeadWriter {
  flushHead(): void;
}

/** Is what has a whole message to write. */
export interface HeldMessage {
  /** Hands it to the system. */
  send(): void;
  /** Says what became of it. Comes when all that waited with it is sent: to say it may take as long as another message. */
  tell(): void;
}

let isScheduled = false;
let corked: Socket[] = [];
let heads: HeadWriter[] = [];
let messages: HeldMessage[] = [];
// Not those of a loop: one that was cut, or threw, is taken up where it stopped.
let sent = 0;
let told = 0;

/**
 * Writes at the end of this turn, behind what was written before and before what is written after. Gives false when the
 * writer should wait for the socket to drain.
 *
 * A peer that sleeps has to be woken, and on a virtual machine to wake another core costs as much as the write itself. Where each
 * message is written as it is ready, each wakes the peer, which takes it and sleeps again; together they wake it once. Bytes are
 * kept until then, so they must not be lent.
 */
export function writeLate(
  socket: Socket,
  bytes: string | Uint8Array,
  written?: (error?: Error | null) => void,
): boolean {
  if (socket.writableCorked > 0) return write(socket, bytes, written);
  socket.cork();
  const mayGoOn = write(socket, bytes, written);
  corked.push(socket);
  schedule();
  if (corked.length === MAX_WAITING) uncorkAll();
  return mayGoOn;
}

function write(socket: Socket, bytes: string | Uint8Array, written?: (error?: Error | null) => void): boolean {
  return typeof bytes === 'string' ? socket.write(bytes, 'latin1', written) : socket.write(bytes, written);
}

/** Has a whole message sent at the end of this turn, before what is corked. */
export function sendLate(message: HeldMessage): void {
  messages.push(message);
  schedule();
  if (messages.length - sent === MAX_WAITING) sendAll();
}

/**
 * Has the head written at the end of this turn, unless its body has come. Not by `nextTick`: most answers are whole by the end of
 * the read that brought their head, and then nothing makes Node look through its queues after every read.
 */
export function writeHeadLate(head: HeadWriter): void {
  heads.push(head);
  schedule();
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(flushLateWrites);
}

/** Writes what waits. Call it where the end of a turn may have been lost, as by a cut of what ran. */
export function flushLateWrites(): void {
  isScheduled = false;
  sendAll();
  uncorkAll();
  const writers = heads;
  heads = [];
  for (const writer of writers) writer.flushHead();
  // Not here: what is told runs hooks, and Node does not outlive the cut of one that an immediate called.
  if (messages.length > 0) process.nextTick(tellAll);
}

function sendAll(): void {
  while (sent < messages.length) messages[sent++]?.send();
}

function tellAll(): void {
  // A hook that was told and then cut, or that threw, may have left some that are not sent yet.
  sendAll();
  try {
    while (told < messages.length) {
      messages[told++]?.tell();
      // What is told may bring the next message.
      sendAll();
    }
    messages = [];
    sent = 0;
    told = 0;
  } finally {
    // It threw: the others are told all the same.
    if (told < messages.length) process.nextTick(tellAll);
  }
}

function uncorkAll(): void {
  const sockets = corked;
  corked = [];
  // One that was ended or destroyed meanwhile has nothing that waits, and is not harmed.
  for (const socket of sockets) socket.uncork();
}
