import { gobgp } from './daemons/gobgp.ts';
import { matrix } from './matrix.ts';

matrix(gobgp, 3);
