import { openbgpd } from './daemons/openbgpd.ts';
import { matrix } from './matrix.ts';

matrix(openbgpd, 4);
