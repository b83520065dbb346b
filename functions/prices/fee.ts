/** Ten-thousandths of every cost that the platform keeps. Pure. */
import { WHOLE_BPS } from './terms.ts';

const DEFAULT_FEE_BPS = 1500;

/** The fee as configured: whole ten-thousandths, 1500 where nothing is said; null: this is no fee. */
export function feeBpsOf(text: string | undefined): number | null {
  if (text === undefined) return DEFAULT_FEE_BPS;
  return /^\d{1,5}$/.test(text) && Number(text) <= WHOLE_BPS ? Number(text) : null;
}
