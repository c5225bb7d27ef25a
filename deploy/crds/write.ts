// Writes the CustomResourceDefinitions beside itself: `node deploy/crds/write.ts`. A test says when they are out of date.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crdFiles } from './definitions.ts';

const folder = import.meta.dirname;
const files = crdFiles();
for (const name of readdirSync(folder)) if (name.endsWith('.yaml') && !files.has(name)) rmSync(join(folder, name));
for (const [name, text] of files) writeFileSync(join(folder, name), text);
