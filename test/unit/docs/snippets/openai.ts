import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env['RIPCORD_API']}/v1`, apiKey: process.env['RIPCORD_API_KEY'] });
const stream = await client.chat.completions.create({
  model: 'demo/chat',
  messages: [{ role: 'user', content: 'What is a ripcord?' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
