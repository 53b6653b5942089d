// Lends the tests of the credentials directory a database in their hand, and a moment for messages to arrive.
// Must not hold a test.
import type { Change, Consumer, Credential } from '../../../gateway/core/model.ts';
import type { DirectoryOptions } from '../../../gateway/sources/directory/directory.ts';
import { write } from '../../support/product/publish.ts';

/** Is the database as the directory reads it, in the test's hand. */
export class FakeReader {
  revision = 1;
  isUp = true;
  asked: string[] = [];
  readonly consumers: Map<string, Consumer> = new Map();
  readonly credentials: Map<string, Credential> = new Map();
  /** Runs between the read and its answer. */
  meanwhile: () => void = () => undefined;

  /** Stores a consumer with credentials; gives them as changes. */
  add(consumer: Consumer, ...credentials: readonly Credential[]): Change[] {
    this.consumers.set(consumer.id, consumer);
    for (const credential of credentials) this.credentials.set(credential.id, credential);
    return [write('consumer', consumer), ...credentials.map((each) => write('credential', each))];
  }

  readonly findCredential: DirectoryOptions['reader']['findCredential'] = async (type, lookup) => {
    if (!this.isUp) throw new Error('down');
    this.asked.push(lookup);
    const credential = [...this.credentials.values()].find((each) => each.type === type && each.lookup === lookup);
    const consumer = credential && this.consumers.get(credential.consumerId);
    this.meanwhile();
    return credential && consumer ? { credential, consumer } : undefined;
  };

  readonly readIdentities: DirectoryOptions['reader']['readIdentities'] = async (sink) => {
    if (!this.isUp) throw new Error('down');
    if (!sink.begin(this.revision, this.credentials.size)) return false;
    sink.take([...this.consumers.values()].map((each) => write('consumer', each)));
    sink.take([...this.credentials.values()].map((each) => write('credential', each)));
    this.meanwhile();
    return true;
  };
}

/** Lets every message and every read that is under way arrive. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
