// Errors that nobody catches, as a test may want them.
// Must give them back to mocha once it has one.

/** Takes the next error that nobody catches, in place of mocha. */
export function takeUncaught(): Promise<Error> {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  return new Promise((resolve) => {
    process.once('uncaughtException', (error) => {
      for (const listener of others) process.on('uncaughtException', listener);
      resolve(error);
    });
  });
}
