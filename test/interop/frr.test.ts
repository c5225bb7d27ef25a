import { frr } from './daemons/frr.ts';
import { matrix } from './matrix.ts';

matrix(frr, 2);
