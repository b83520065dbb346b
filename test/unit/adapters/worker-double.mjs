// A RunPod worker as small as can be: the pull protocol as the package speaks it, one job at a time.
const { RUNPOD_WEBHOOK_GET_JOB, RUNPOD_WEBHOOK_POST_OUTPUT, RUNPOD_WEBHOOK_POST_STREAM, RUNPOD_WEBHOOK_PING, RUNPOD_AI_API_KEY } =
  process.env;
const headers = { authorization: RUNPOD_AI_API_KEY };
const take = RUNPOD_WEBHOOK_GET_JOB.replace('$ID', 'pod');
const running = new Map();

const post = (template, id, body) =>
  fetch(`${template.replace('$ID', id)}&isStream=false`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

async function stops() {
  for (;;) {
    const reply = await fetch(take.replace('/job-take/', '/job-stop/'), { headers });
    if (reply.status === 200)
      for (const id of (await reply.json()).jobsToStop) {
        console.log(`stop ${running.get(id)?.name}`);
        running.get(id)?.stop();
      }
  }
}

async function work({ id, input }) {
  if (input.parts) {
    for (const part of input.parts) await post(RUNPOD_WEBHOOK_POST_STREAM, id, { output: part });
    if (!input.hang) return { output: [] };
  }
  if (input.progress) await post(RUNPOD_WEBHOOK_POST_OUTPUT, id, { status: 'IN_PROGRESS', output: input.progress });
  if (input.fail) return { error: input.fail };
  if (input.hang) {
    console.log(`hang ${input.hang}`);
    await new Promise((resolve) => running.set(id, { name: input.hang, stop: resolve }));
    return null;
  }
  if (input.garbage) return 'no JSON {';
  if (input.exit) process.exit(3);
  return { output: { echo: input } };
}

setTimeout(() => void stops().catch(() => process.exit(0)), 0);
await fetch(`${RUNPOD_WEBHOOK_PING}?job_id=`, { headers });
for (;;) {
  const reply = await fetch(`${take}&job_in_progress=0`, { headers }).catch(() => process.exit(0));
  if (reply.status !== 200) continue;
  const job = await reply.json();
  const result = await work(job);
  if (job.input.lose) continue;
  if (result !== null) await post(RUNPOD_WEBHOOK_POST_OUTPUT, job.id, result);
}
