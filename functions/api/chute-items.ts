/** Chutes as clients see them; field names are Chutes' own where the idea is the same. */
import { cordsOf, scalingOf } from '#protocol';
import type { Listing } from '../calls/ports.ts';
import type { ChuteView, InstanceView } from '../chute/view.ts';
import type { PriceVersion } from '../prices/history.ts';

/** `owner` sees what goes on inside; `public` sees that it runs. Nobody sees the values of `env`. */
export function chuteItem(view: ChuteView, eyes: 'owner' | 'public', now = Date.now()) {
  const { config } = view;
  const { gpu } = config;
  const scaling = scalingOf(config);
  const item = {
    chute_id: view.chute,
    name: view.name,
    slug: view.slug,
    tagline: config.tagline,
    public: config.public,
    version: view.version,
    template: config.template,
    cords: cordsOf(config).map(({ path, method, retry }) => ({ path, method, retry })),
    node_selector:
      gpu === undefined ? null : { gpu_count: gpu.count, min_vram_gb_per_gpu: gpu.min_vram_gb, include: gpu.include, exclude: gpu.exclude },
    concurrency: config.concurrency,
    min_instances: config.min,
    max_instances: config.max,
    scale_up_after_seconds: scaling.scale_up_after,
    shutdown_after_seconds: scaling.idle_after,
    bounty_nanousd: scaling.bounty,
    price: view.terms.price,
    price_version: view.terms.version,
    discount_bps: view.terms.discountBps,
    coming_prices: view.prices.filter((v) => v.startsAt > now).map((v) => priceItem(v, false)),
    hot: view.instances.some((instance) => instance.state === 'live'),
    created_at: new Date(view.created).toISOString(),
    instances: view.instances
      .filter((instance) => eyes === 'owner' || instance.state === 'live' || instance.state === 'draining')
      .map((instance) => instanceItem(instance, eyes)),
  };
  if (eyes === 'public') return item;
  return {
    ...item,
    updated_at: new Date(view.deployed).toISOString(),
    image: config.image ?? null,
    command: config.command ?? null,
    env_names: Object.keys(config.env).toSorted(),
    wanted_instances: view.wanted,
    missing_instances: view.need,
    waiting_calls: view.waiting,
    // No instance is started while the account cannot pay for it.
    held_back: view.unpaidSince === null ? null : { code: 'insufficient_credit', since: new Date(view.unpaidSince).toISOString() },
    last_error:
      view.lastError === null
        ? null
        : {
            at: new Date(view.lastError.at).toISOString(),
            message: view.lastError.text,
            failed_starts: view.lastError.count,
            crash_loop: view.lastError.loop,
          },
  };
}

function instanceItem(instance: InstanceView, eyes: 'owner' | 'public') {
  const item = {
    instance_id: instance.instance,
    region: instance.region,
    active: instance.state === 'live',
    // Verdicts are kept where paid traffic is gated, in the Miner object; see GET /miners.
    verified: null,
    state: instance.state,
    version: instance.version,
    hotkey: instance.hotkey,
  };
  return eyes === 'public' ? item : { ...item, detail: instance.detail, slots: instance.slots, busy: instance.busy };
}

/** A price of a chute; `holds`: it is the one in force. */
export function priceItem(version: PriceVersion, holds: boolean) {
  return {
    price_version: version.id,
    price: version.price,
    discount_bps: version.discountBps,
    fee_bps: version.feeBps,
    starts_at: new Date(version.startsAt).toISOString(),
    ends_at: version.endsAt === null ? null : new Date(version.endsAt).toISOString(),
    in_force: holds,
    note: version.note,
  };
}

/** A chute in a list whose object is not asked. */
export function listedItem(
  row: { id: string; name: string; slug: string; public: boolean; version: string; createdAt: Date },
  listing: Listing | undefined,
) {
  return {
    chute_id: row.id,
    name: row.name,
    slug: row.slug,
    tagline: listing?.tagline ?? '',
    public: row.public,
    version: row.version,
    template: listing?.template ?? null,
    price: listing?.terms?.price ?? null,
    created_at: row.createdAt.toISOString(),
  };
}

export function versionItem(version: { version: string; created: number; deployed: number; current: boolean; code: string | null }) {
  return {
    version: version.version,
    created_at: new Date(version.created).toISOString(),
    deployed_at: new Date(version.deployed).toISOString(),
    current: version.current,
    code_sha256: version.code,
  };
}
