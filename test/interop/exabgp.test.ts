import { exabgp } from './daemons/exabgp.ts';
import { matrix } from './matrix.ts';

matrix(exabgp, 5);
