// A certificate that is its own authority, for everything that serves TLS at the same addresses.
import { run } from '../host.ts';

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes one, valid for these addresses and names. */
export async function makeCertificate(folder: string, names: readonly string[]): Promise<Certificate> {
  const certificateFile = `${folder}/tls.crt`;
  const keyFile = `${folder}/tls.key`;
  const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`).join(',');
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=manx-test', '-addext', `subjectAltName=${alternatives}`],
    ...['-keyout', keyFile, '-out', certificateFile],
  ]);
  return { certificateFile, keyFile };
}
