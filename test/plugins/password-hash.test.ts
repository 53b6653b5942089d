// The format of password hashes, which the store writes and basic-auth reads: a plugin may not import the store.
// Must not test either alone.
import assert from 'node:assert/strict';
import { hashPassword, verifyPassword } from '../../gateway/sources/secrets.ts';
import { fakeConsumers } from '../../gateway/testing.ts';
import { checkPassword, deriveScrypt } from '../../plugins/basic-auth/password-hash.ts';

describe('a stored password hash', () => {
  const password = 'pa:ss wörd €';

  it('is checked by basic-auth as by the store', async () => {
    const stored = await hashPassword(password);

    const right = [await checkPassword(password, stored, deriveScrypt), await verifyPassword(password, stored)];
    const wrong = [await checkPassword(`${password} `, stored, deriveScrypt), await verifyPassword('', stored)];

    assert.deepEqual(
      [right, wrong],
      [
        [true, true],
        [false, false],
      ],
    );
  });

  it('is what the test kit makes', async () => {
    const consumers = fakeConsumers({ username: 'u', credentials: [{ type: 'basic-auth', username: 'u', password }] });

    const stored = String(consumers.identityOf('u').credential.data['passwordHash']);

    assert.equal(await verifyPassword(password, stored), true);
  });
});
