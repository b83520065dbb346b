/** What the app's first middleware sets for every route. */
export interface Vars {
  requestId: string;
}
