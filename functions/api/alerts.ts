/** GET, PUT /accounts/me/alerts: what an account wants to be told, and what it was told. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import type { AlertRow, AlertSettings, Webhook } from '../account/rows.ts';
import { isWebhookUrl, newSecret } from '../account/webhook.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { accountStub } from '../stubs.ts';
import { readJson, smallBody } from './body.ts';
import type { Vars } from './vars.ts';

const settingsSchema = z.strictObject({
  balance_below_nanousd: z._default(z.nullable(z.string().check(z.regex(/^[1-9]\d{0,17}$/))), null),
  cap_percent: z._default(z.array(z.int().check(z.minimum(1), z.maximum(100))).check(z.maxLength(10)), []),
  webhook_url: z._default(z.nullable(z.string()), null),
});

export const alertsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

alertsApi.get('/accounts/me/alerts', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const { settings, list } = await accountStub(c.env, account).alerts();
  return c.json({ ...settingsView(settings), items: list.map(alertView) });
});

/** All of it: what is left out is off. The secret of a new webhook is shown this once. */
alertsApi.put('/accounts/me/alerts', smallBody, async (c) => {
  const { account } = await authenticateAccount(c, 'write');
  const ask = await readJson(c, settingsSchema);
  const stub = accountStub(c.env, account);
  const before = (await stub.alerts()).settings.webhook;
  const webhook = webhookOf(ask.webhook_url, before, c.env);
  const settings: AlertSettings = {
    below: ask.balance_below_nanousd === null ? null : BigInt(ask.balance_below_nanousd),
    capPercent: [...new Set(ask.cap_percent)].sort((a, b) => a - b),
    webhook,
  };
  await stub.setAlerts(settings);
  const secret = webhook === null || webhook === before ? {} : { webhook_secret: webhook.secret };
  return c.json({ ...settingsView(settings), ...secret }, 200, { 'cache-control': 'no-store' });
});

function webhookOf(url: string | null, before: Webhook | null, env: Env): Webhook | null {
  if (url === null) return null;
  if (before?.url === url) return before;
  if (!isWebhookUrl(url, env.ALLOW_LOCAL_WEBHOOKS === '1'))
    throw new RipcordError('invalid_request', {
      message: 'webhook_url is not an https address of a public host name.',
      param: 'webhook_url',
    });
  return { url, secret: newSecret() };
}

function settingsView({ below, capPercent, webhook }: AlertSettings) {
  return { balance_below_nanousd: below?.toString() ?? null, cap_percent: capPercent, webhook_url: webhook?.url ?? null };
}

function alertView({ id, at, kind, key, percent, limit, value, tries, deliveredAt }: AlertRow) {
  return {
    alert_id: id,
    at: new Date(at).toISOString(),
    kind,
    key_id: key,
    percent,
    limit_nanousd: limit.toString(),
    value_nanousd: value.toString(),
    deliveries: tries,
    delivered_at: deliveredAt === null ? null : new Date(deliveredAt).toISOString(),
  };
}
