-- Scores a second time, written from docs/scoring.md and not from the code: whole numbers over the files of an epoch.
create schema twin;

-- Division of whole numbers, towards zero.
create function twin.scaled(passed numeric, total numeric, most numeric) returns numeric language sql immutable as
$$ select case when total <= most then passed else div(passed * most, total) end $$;

create function twin.root_up(value numeric) returns numeric language sql immutable as $$
  select case when r * r >= value then r when (r + 1) * (r + 1) >= value then r + 1 else r + 2 end
  from (select greatest(trunc(sqrt(value)) - 1, 0) as r) as root
$$;

-- As if the rate came of `n` tests.
create function twin.lower_bound(passed numeric, total numeric, n numeric, z numeric) returns numeric language sql immutable as $$
  select case when passed <= 0 or n <= 0 then 0 else greatest(0, div(
    (div(n * passed * 1e12, total) + div(z * 1e12, 20000)
      - twin.root_up(div(z * n * passed * (total - passed) * 1e24, total * total * 10000) + div(z * z * 1e24, 400000000))) * 1000000 * 10000,
    n * 1e12 * 10000 + z * 1e12)) end
$$;

create function twin.test_marks(passed numeric, total numeric, s jsonb) returns numeric language sql immutable as $$
  select div(twin.lower_bound(passed, total, least(total, n), z) * 1000000, twin.lower_bound(n, n, n, z))
  from (select (s->>'tests')::numeric as n, (s->>'zSquared')::numeric as z) as t
$$;

create function twin.line_marks(ms numeric, line jsonb, floor numeric) returns numeric language sql immutable as $$
  select case when ms >= least then floor when ms <= whole then 1000000
    else 1000000 - ceil((1000000 - floor) * (ms - whole) / (least - whole)) end
  from (select (line->>'whole')::numeric as whole, (line->>'least')::numeric as least) as l
$$;

create function twin.outcome(reason text) returns text language sql immutable as $$
  select case when reason = 'proven' then 'pass' when reason in ('disconnected', 'no_pulse', 'bad_record') then 'void'
    when reason in ('wrong_leaf', 'wrong_root', 'wrong_bytes', 'wrong_signature', 'malformed', 'back_dated') then 'hard' else 'soft' end
$$;

-- What devices have proven of one kind. `tests`: transcripts with `reason` and `rate`; `before`: {hotkey, target, value, slot}.
create function twin.proven(of text, tests jsonb, presence jsonb, before jsonb, finish numeric, s jsonb, suite jsonb)
returns table (hotkey text, target text, value numeric, slot numeric) language sql stable as $$
  with carried as (select * from jsonb_to_recordset(before) as c(hotkey text, target text, value numeric, slot numeric) where value > 0),
  device as (select p.hotkey, p.agent || '/' || p.device as target, p.since from jsonb_to_recordset(presence) as p(hotkey text, agent text, device text, since numeric)),
  young as (select a.value::numeric as age from jsonb_array_elements(suite->'cadence'->'newcomer') with ordinality as a(value, nth) where of = 'pow.mm' or nth = 1),
  test as (
    select t.*, case when t.reason <> 'proven' then 0 when of = 'pow.mm' then coalesce(t.rate, 0)
      else coalesce((select (c->>'memoryMb')::numeric from jsonb_array_elements(suite->'classes') as c where c->>'name' = t.class), 0) end as value
    from jsonb_to_recordset(tests) as t(kind text, hotkey text, target text, slot numeric, round numeric, scheduled boolean, class text, reason text, rate numeric)
    where t.kind = of and t.scheduled and t.reason not in ('no_pulse', 'bad_record')
  ),
  last as (select coalesce(max(c.slot), 0) as slot from carried as c),
  candidate as (
    select t.slot, min(t.round) as round from test as t, last where t.slot >= last.slot group by t.slot
    having bool_or(exists (
      select from device as d where d.hotkey = t.hotkey and d.target = t.target and t.slot >= d.since
        and t.slot - d.since not in (select age * (suite->'cadence'->>'slotSeconds')::numeric from young)))
  ),
  moment as (select t.* from test as t join candidate as c using (slot) where t.round <= c.round + (s->'flash'->>'rounds')::numeric),
  flash as (
    select f.slot from candidate as f, last where f.slot = last.slot or (
      select count(*) filter (where exists (select from moment as m where m.slot = f.slot and m.hotkey = c.hotkey and m.target = c.target)) * 1000
        >= count(*) * (s->'flash'->>'quorum')::numeric
      from carried as c join device as d using (hotkey, target) where d.since <= f.slot)
  ),
  latest as (select distinct on (m.hotkey, m.target) m.hotkey, m.target, m.value, m.slot from moment as m join flash using (slot) order by m.hotkey, m.target, m.slot desc),
  entry as (
    select l.* from latest as l where l.value > 0
    union all
    select c.* from carried as c where not exists (select from latest as l where l.hotkey = c.hotkey and l.target = c.target)
  ),
  newest as (select greatest((select last.slot from last), coalesce(max(f.slot), 0)) as slot from flash as f)
  select e.* from entry as e, newest as n
  where (e.slot = n.slot or n.slot + (s->'flash'->>'late')::numeric * (suite->'cadence'->>'slotSeconds')::numeric > finish)
    and finish - e.slot <= (s->'flash'->>'keep')::numeric
$$;

create function twin.units(c jsonb, kind text, rate numeric, memory numeric, suite jsonb) returns numeric language sql immutable as $$
  select case when kind is null or c->>'kind' <> kind or memory < (c->>'memoryMb')::numeric
    or rate < div((c->>'rate')::numeric * expected * 1000, expected * (c->'window'->>'most')::numeric + 100000) then 0
    else div((c->>'units')::numeric * 1000 * least(rate, (c->>'rate')::numeric), (c->>'rate')::numeric) end
  from (select (suite->>'expectedMs')::numeric as expected) as e
$$;

-- Nano-USD that count, by hotkey.
create function twin.used(lines jsonb, seconds numeric, s jsonb) returns table (hotkey text, amount numeric) language sql stable as $$
  with free as (select u.* from jsonb_to_recordset(lines) as u(chute text, payer text, hotkey text, nanousd numeric, linked boolean) where not u.linked),
  bound as (
    select case when (s->>'usePay')::numeric = 0 then 0 else div((s->>'emissionPerHour')::numeric * seconds * (1000 - (s->>'capacity')::numeric)
      * (s->>'payer')::numeric, 3600 * (s->>'usePay')::numeric * 1000) end as most
  ),
  paid as (
    select f.hotkey, case when sum(f.nanousd) over p <= bound.most then f.nanousd else div(f.nanousd * bound.most, sum(f.nanousd) over p) end as amount
    from free as f, bound window p as (partition by f.payer)
  )
  select p.hotkey, sum(p.amount) from paid as p group by p.hotkey
$$;

create function twin.summary(evidence jsonb, findings jsonb, previous jsonb, s jsonb, suite jsonb, head jsonb) returns jsonb language sql stable as $$
  with line as (select e as l, e->>'t' as t from jsonb_array_elements(evidence || findings) as e),
  finish as (select (head->>'epoch')::numeric + (head->>'seconds')::numeric as at, (suite->'cadence'->>'slotSeconds')::numeric as slot),
  pack as (select coalesce(jsonb_agg(l) filter (where t = 'presence'), '[]') as presence, coalesce(jsonb_agg(l) filter (where t = 'use'), '[]') as uses from line),
  test as (
    select tr.l || jsonb_build_object('reason', v.l->'reason', 'rate', v.l->'rate') as l from line as tr
    join line as v on v.t = 'verdict' and v.l->>'id' = tr.l->>'id' where tr.t = 'transcript'
  ),
  all_tests as (select coalesce(jsonb_agg(l), '[]') as l from test),
  old as (select m->>'hotkey' as hotkey, r from jsonb_array_elements(coalesce(previous->'miners', '[]')) as m, jsonb_array_elements(m->'rates') as r),
  rates as (select p.* from all_tests, pack, finish, twin.proven('pow.mm', all_tests.l, pack.presence,
    (select coalesce(jsonb_agg(jsonb_build_object('hotkey', hotkey, 'target', r->'target', 'value', r->'rate', 'slot', r->'rate_slot')), '[]') from old), finish.at, s, suite) as p),
  memories as (select p.* from all_tests, pack, finish, twin.proven('pow.mem', all_tests.l, pack.presence,
    (select coalesce(jsonb_agg(jsonb_build_object('hotkey', hotkey, 'target', r->'target', 'value', r->'memory_mb', 'slot', r->'memory_slot')), '[]') from old), finish.at, s, suite) as p),
  device as (
    select d.hotkey, d.agent || '/' || d.device as target, d.kind, least(d.slots, div((head->>'seconds')::numeric, finish.slot)) as slots
    from pack, finish, jsonb_to_recordset(pack.presence) as d(hotkey text, agent text, device text, kind text, slots numeric)
  ),
  proof as (
    select hotkey, target, coalesce(r.value, 0) as rate, coalesce(r.slot, 0) as rate_slot, coalesce(m.value, 0) as memory, coalesce(m.slot, 0) as memory_slot,
      d.slots, best.name as class, coalesce(best.units, 0) as units
    from rates as r full join memories as m using (hotkey, target) left join device as d using (hotkey, target)
    left join lateral (
      select c.value->>'name' as name, twin.units(c.value, d.kind, coalesce(r.value, 0), coalesce(m.value, 0), suite) as units
      from jsonb_array_elements(suite->'classes') with ordinality as c(value, nth)
      where twin.units(c.value, d.kind, coalesce(r.value, 0), coalesce(m.value, 0), suite) > 0 order by 2 desc, c.nth limit 1
    ) as best on true
  ),
  used as (select u.* from pack, twin.used(pack.uses, (head->>'seconds')::numeric, s) as u),
  hotkeys as (
    select l->>'hotkey' as hotkey from line where t in ('presence', 'served', 'calls') union select l->>'hotkey' from test
    union select hotkey from used union select hotkey from proof
  ),
  miner as (
    select h.hotkey,
      coalesce((select l->>'coldkey' from line where t = 'neuron' and l->>'hotkey' = h.hotkey), h.hotkey) as entity,
      (select coalesce(sum(p.units * finish.slot * p.slots), 0) from proof as p, finish where p.hotkey = h.hotkey and p.slots is not null) as proven,
      coalesce((select amount from used as u where u.hotkey = h.hotkey), 0) as used,
      tested.*,
      (select l from line where t = 'served' and l->>'hotkey' = h.hotkey) as served,
      (select l from line where t = 'calls' and l->>'hotkey' = h.hotkey) as calls
    from hotkeys as h cross join lateral (select count(*) filter (where counts) as total, count(*) filter (where counts and twin.outcome(reason) = 'pass') as passed,
          coalesce(bool_or(twin.outcome(reason) = 'hard'), false) as hard
        from (select l->>'reason' as reason, twin.outcome(l->>'reason') <> 'void' and l->>'reason' <> 'unproven' and (l->>'kind' not in ('pow.mm', 'pow.mem')
          or exists (select from jsonb_array_elements(suite->'classes') as c where c->>'name' = l->>'class' and (c->>'units')::numeric > 0)) as counts
          from test where l->>'hotkey' = h.hotkey) as t) as tested
  ),
  fact as (
    select m.*, coalesce((calls->>'canaries')::numeric, 0) as canaries, coalesce((calls->>'canaries_ok')::numeric, 0) as canaries_ok,
      coalesce((calls->>'pings')::numeric, 0) as pings, coalesce((calls->>'pings_ok')::numeric, 0) as pings_ok,
      coalesce((served->>'completed')::numeric, 0) as completed, coalesce((served->>'completed')::numeric + (served->>'failed')::numeric, 0) as attempts,
      twin.line_marks(coalesce((calls->>'first_byte_ms')::numeric, (served->>'first_byte_ms')::numeric), s->'latency'->'firstByte', (s->'latency'->>'floor')::numeric) as first_byte,
      twin.line_marks((calls->>'rtt_ms')::numeric, s->'latency'->'rtt', (s->'latency'->>'floor')::numeric) as rtt,
      (s->'latency'->>'firstByteShare')::numeric as part
    from miner as m
  ),
  timed as (select f.*, case when first_byte is null then rtt when rtt is null then first_byte else div(first_byte * part + rtt * (1000 - part), 1000) end as latency from fact as f)
  select head || jsonb_build_object('miners', coalesce(jsonb_agg(jsonb_build_object(
    'hotkey', hotkey, 'entity', entity, 'proven', proven::text, 'use', used::text,
    'tests', total + canaries + least(pings, (s->>'pings')::numeric),
    'tests_ok', passed + canaries_ok + twin.scaled(pings_ok, pings, (s->>'pings')::numeric),
    'calls', least(attempts, (s->>'calls')::numeric), 'calls_ok', twin.scaled(completed, attempts, (s->>'calls')::numeric),
    'latency', coalesce(latency, 0), 'timed', (latency is not null)::int,
    'clean', not hard and coalesce(jsonb_array_length(calls->'swapped'), 0) = 0,
    'rates', (select coalesce(jsonb_agg(jsonb_build_object('target', target, 'rate', rate, 'rate_slot', rate_slot, 'memory_mb', memory,
        'memory_slot', memory_slot, 'class', class) order by target collate "C"), '[]') from proof as p where p.hotkey = m.hotkey)
  ) order by hotkey collate "C"), '[]'))
  from timed as m
$$;

-- {hotkey, entity, share, clean, quality} by hotkey.
create function twin.scores(summaries jsonb, s jsonb) returns jsonb language sql stable as $$
  with epoch as (select (e->>'epoch')::numeric as start, (e->>'seconds')::numeric as seconds, e->'miners' as miners from jsonb_array_elements(summaries) as e),
  newest as (select start, seconds from epoch order by start desc limit 1),
  row as (
    select m.*, e.start from newest as n, epoch as e, jsonb_to_recordset(e.miners) as m(hotkey text, entity text, proven numeric, use numeric, tests numeric,
      tests_ok numeric, calls numeric, calls_ok numeric, latency numeric, timed numeric, clean boolean)
    where e.start > n.start - (s->>'window')::numeric * n.seconds
  ),
  guilty as (select distinct w.entity from row as w where w.hotkey in (select hotkey from row where not clean)),
  miner as (
    select hotkey, (array_agg(entity order by start desc))[1] as entity, sum(proven) as proven, sum(use) as use, sum(tests) as tests,
      sum(tests_ok) as tests_ok, sum(calls) as calls, sum(calls_ok) as calls_ok, sum(latency) filter (where timed > 0) as latency, sum(timed) as timed,
      bool_or(entity in (select entity from guilty)) as touched
    from row group by hotkey
  ),
  judged as (
    select m.*, not bool_or(touched or entity in (select entity from guilty)) over whole as clean,
      div(twin.test_marks(tests_ok, tests, s) * case calls when 0 then 1000000 else div(calls_ok * 1000000, calls) end, 1000000) as own,
      div(twin.test_marks(sum(tests_ok) over whole, sum(tests) over whole, s)
        * case sum(calls) over whole when 0 then 1000000 else div(sum(calls_ok) over whole * 1000000, sum(calls) over whole) end, 1000000) as together,
      case timed when 0 then (s->'latency'->>'floor')::numeric else div(latency, timed) end as swift
    from miner as m window whole as (partition by m.entity)
  ),
  money as (select (s->>'emissionPerHour')::numeric * (s->>'window')::numeric * n.seconds * 1000 as emission from newest as n),
  total as (
    select coalesce(sum(use) filter (where clean), 0) as used, coalesce(sum(proven) filter (where clean), 0) as proven,
      least(div(coalesce(sum(use) filter (where clean), 0) * (s->>'usePay')::numeric * 1e12 * 3600, max(money.emission)),
        div(1e12 * (1000 - (s->>'capacity')::numeric), 1000)) as pot
    from judged, money
  ),
  part as (
    select j.*, case when total.proven = 0 then 0 else div((1e12 - total.pot) * j.proven, total.proven) end as standing,
      case when total.used = 0 then 0 else div(total.pot * j.use, total.used) end as brought,
      div(least(own, together) * swift, 1000000) as quality
    from judged as j, total
  )
  select coalesce(jsonb_agg(jsonb_build_object('hotkey', hotkey, 'entity', entity, 'clean', clean, 'quality', quality, 'share', case when clean then
    div((standing + brought) * quality, 1000000)
    else 0 end) order by hotkey collate "C"), '[]')
  from part
$$;

create function twin.weights(scores jsonb, neurons jsonb, s jsonb) returns jsonb language sql stable as $$
  with neuron as (select * from jsonb_to_recordset(neurons) as n(uid numeric, hotkey text)),
  earned as (select n.uid, (c->>'share')::numeric as share from jsonb_array_elements(scores) as c join neuron as n on n.hotkey = c->>'hotkey'),
  given as (
    select uid, sum(share) as share from (
      select * from earned
      union all
      select n.uid, 1e12 - (select coalesce(sum(share), 0) from earned) from neuron as n where n.uid = (s->>'burnUid')::numeric
    ) as g group by uid having sum(share) > 0
  ),
  part as (select uid, div(share * 65535, total) as value, mod(share * 65535, total) as rest from (select g.*, sum(share) over () as total from given as g) as t),
  ranked as (select p.*, row_number() over (order by rest desc, uid) as nth, 65535 - sum(value) over () as missing from part as p),
  final as (select uid, value + (nth <= missing)::int as value from ranked)
  select jsonb_build_object('uids', coalesce(jsonb_agg(uid order by uid), '[]'), 'values', coalesce(jsonb_agg(value order by uid), '[]')) from final where value > 0
$$;
