/** Tables of plain facts, and the sentences that say them. Each row becomes one passage. */

const COUNTRIES = `
France|Paris|Europe|the Seine|wine, cheese and painting
Germany|Berlin|Europe|the Rhine|machines, music and bread
Italy|Rome|Europe|the Po|old cities, opera and pasta
Spain|Madrid|Europe|the Ebro|olives, dance and bright light
Portugal|Lisbon|Europe|the Tagus|sailors, tiles and cork
Poland|Warsaw|Europe|the Vistula|amber, forests and music
Austria|Vienna|Europe|the Danube|mountains, coffee houses and music
Hungary|Budapest|Europe|the Danube|hot springs, paprika and mathematics
Greece|Athens|Europe|the Haliacmon|islands, theatre and philosophy
Norway|Oslo|Europe|the Glomma|fjords, fish and long nights
Sweden|Stockholm|Europe|the Göta|forests, lakes and design
Finland|Helsinki|Europe|the Kemi|lakes, saunas and quiet
Ireland|Dublin|Europe|the Shannon|green fields, stories and song
Netherlands|Amsterdam|Europe|the Rhine|canals, tulips and bicycles
Belgium|Brussels|Europe|the Meuse|chocolate, comics and lace
Switzerland|Bern|Europe|the Aare|mountains, clocks and cheese
Czechia|Prague|Europe|the Vltava|glass, bridges and beer
Romania|Bucharest|Europe|the Danube|mountains, castles and plums
Iceland|Reykjavik|Europe|the Thjorsa|volcanoes, sagas and hot springs
Ukraine|Kyiv|Europe|the Dnipro|black earth, grain and embroidery
Egypt|Cairo|Africa|the Nile|pyramids, cotton and papyrus
Morocco|Rabat|Africa|the Bou Regreg|markets, leather and mint tea
Kenya|Nairobi|Africa|the Tana|runners, tea and wide plains
Nigeria|Abuja|Africa|the Niger|film, music and crowded cities
Ghana|Accra|Africa|the Volta|cocoa, gold and woven cloth
Ethiopia|Addis Ababa|Africa|the Blue Nile|coffee, highlands and old churches
Senegal|Dakar|Africa|the Senegal|drums, fish and peanuts
Tanzania|Dodoma|Africa|the Rufiji|a great mountain, lakes and wildlife
Japan|Tokyo|Asia|the Shinano|trains, gardens and careful craft
China|Beijing|Asia|the Yangtze|silk, paper and a very long wall
India|New Delhi|Asia|the Ganges|spices, mathematics and film
Vietnam|Hanoi|Asia|the Red River|rice, coffee and lanterns
Thailand|Bangkok|Asia|the Chao Phraya|temples, markets and bright food
Indonesia|Jakarta|Asia|the Kapuas|islands, volcanoes and batik
Mongolia|Ulaanbaatar|Asia|the Tuul|horses, grassland and wide sky
Turkey|Ankara|Asia|the Kizilirmak|carpets, tea and old harbours
Nepal|Kathmandu|Asia|the Bagmati|the highest mountains, bells and prayer flags
South Korea|Seoul|Asia|the Han|ships, pottery and pickled cabbage
Canada|Ottawa|North America|the Saint Lawrence|forests, maple syrup and ice hockey
Mexico|Mexico City|North America|the Balsas|maize, murals and chocolate
Cuba|Havana|North America|the Cauto|music, sugar and old cars
Brazil|Brasilia|South America|the Amazon|rain forest, football and samba
Argentina|Buenos Aires|South America|the Parana|tango, cattle and wide plains
Chile|Santiago|South America|the Maipo|a long coast, copper and telescopes
Peru|Lima|South America|the Maranon|potatoes, weaving and stone cities
Colombia|Bogota|South America|the Magdalena|coffee, emeralds and flowers
Australia|Canberra|Oceania|the Murray|reefs, deserts and odd animals
New Zealand|Wellington|Oceania|the Waikato|sheep, mountains and flightless birds`;

const ELEMENTS = `
hydrogen|H|1|gas|the lightest of all and the fuel of the stars
helium|He|2|gas|used to lift balloons and to cool magnets
lithium|Li|3|metal|used in batteries that can be charged again
carbon|C|6|solid|found in all living things, in coal and in diamond
nitrogen|N|7|gas|the larger part of the air
oxygen|O|8|gas|what we breathe and what every fire needs
fluorine|F|9|gas|the most eager of all to react
neon|Ne|10|gas|known for the red glow of signs
sodium|Na|11|metal|one half of kitchen salt
magnesium|Mg|12|metal|light, strong and bright when it burns
aluminium|Al|13|metal|light and slow to rust, good for aircraft and cans
silicon|Si|14|solid|the stuff of sand, of glass and of computer chips
phosphorus|P|15|solid|needed by every cell and by every field
sulfur|S|16|solid|yellow, and known for its smell when it burns
chlorine|Cl|17|gas|used to keep water clean
argon|Ar|18|gas|so idle that it protects what is welded
potassium|K|19|metal|needed by nerves and by plants
calcium|Ca|20|metal|what makes bones and shells hard
titanium|Ti|22|metal|strong, light and friendly to the body
chromium|Cr|24|metal|what makes steel shine
iron|Fe|26|metal|the core of the Earth and of most machines
cobalt|Co|27|metal|used for blue glass and for strong magnets
nickel|Ni|28|metal|used in coins and in alloys
copper|Cu|29|metal|a good conductor, used in nearly every wire
zinc|Zn|30|metal|what keeps iron from rusting
silver|Ag|47|metal|the best conductor of all metals
tin|Sn|50|metal|soft, and with copper it makes bronze
iodine|I|53|solid|needed in small amounts by the thyroid
tungsten|W|74|metal|the metal with the highest melting point
platinum|Pt|78|metal|used to speed up reactions and in jewellery
gold|Au|79|metal|soft, heavy, yellow and never rusting
mercury|Hg|80|metal|liquid at room temperature and poisonous
lead|Pb|82|metal|heavy, soft and poisonous
uranium|U|92|metal|the fuel of nuclear power stations`;

const ANIMALS = `
elephant|grasses, leaves and bark|savannas and forests|remembers paths to water for many years
whale|krill and fish|every ocean|breathes air and can sing over long distances
octopus|crabs and shellfish|reefs and the sea floor|has three hearts and changes its colour
honeybee|nectar and pollen|meadows and orchards|dances to tell others where flowers are
owl|mice and insects|woods and fields|flies without a sound and hears in the dark
wolf|deer and smaller animals|forests and tundra|hunts in a pack and raises its young together
salmon|insects and small fish|rivers and the sea|swims back to the stream where it was born
penguin|fish and krill|cold coasts of the south|cannot fly in the air but flies under water
camel|dry grass and thorns|deserts|keeps fat in its hump and can go long without water
beaver|bark and leaves|streams and ponds|builds dams that turn a brook into a lake
bat|insects or fruit|caves, roofs and hollow trees|finds its way by the echo of its own voice
ant|seeds, insects and sugar|soil on nearly every continent|leaves a trail of scent that others follow
tortoise|leaves and fruit|dry land|carries its house and may live more than a century
frog|insects and worms|ponds and wet meadows|begins its life as a swimming tadpole
eagle|fish and small animals|mountains and coasts|sees a hare from a great height
horse|grass and hay|plains and farms|can sleep while it stands
cat|mice and birds|houses, farms and deserts|lands on its feet and sleeps most of the day
dog|meat and much else|wherever people live|reads faces and follows a scent for hours
crow|seeds, insects and scraps|fields and cities|uses tools and remembers faces
spider|insects|nearly every place on land|makes thread that is stronger than steel of the same weight
dolphin|fish and squid|warm seas|calls its friends by whistles of their own
bear|berries, fish and honey|forests and mountains|sleeps through much of the winter
giraffe|leaves of tall trees|savannas|has as many bones in its neck as a human
hedgehog|beetles and worms|gardens and hedges|rolls into a ball when it is afraid
squirrel|nuts and seeds|woods and parks|forgets some of its stores, and trees grow from them
fox|mice, birds and fruit|woods, fields and towns|hears a mouse under the snow
kangaroo|grasses|open country|carries its young in a pouch
shark|fish and seals|every ocean|senses the weak currents of other animals`;

const PLANETS = `
Mercury|first|rock|the smallest planet, and it goes around the sun in eighty-eight days
Venus|second|rock|hotter than any other, because its thick air keeps the heat in
Earth|third|rock|the only place where life is known, and most of it is sea
Mars|fourth|rock|red with rust, with thin air and the highest known volcano
Jupiter|fifth|gas|the largest of all, and its red spot is a storm wider than the Earth
Saturn|sixth|gas|known for its rings of ice and dust
Uranus|seventh|gas and ice|tipped on its side, so that each pole has decades of day
Neptune|eighth|gas and ice|the farthest planet, with the fastest winds`;

const TOOLS = `
hammer|drive nails|a head of steel on a handle of wood|let the weight of the head do the work
saw|cut wood|a row of bent teeth on a thin blade|push gently and let the teeth choose their pace
lens|bend light to one point|clear glass with curved faces|keep it clean and never look at the sun through it
telescope|see what is far away|two lenses or a curved mirror in a tube|give your eyes time to grow used to the dark
microscope|see what is very small|two strong lenses over a bright light|begin with the weakest lens
thermometer|measure heat|a liquid or a wire that changes as it warms|wait until it no longer moves
barometer|measure the pressure of the air|a thin box from which the air was taken|watch how it changes and not where it stands
clock|measure time|something that swings evenly and wheels that count|set it seldom and trust it otherwise
pulley|lift a weight|a wheel with a groove and a rope|count the ropes that carry the load
wheel|move a load over the ground|a ring, spokes and an axle|keep the axle greased
loom|weave cloth|a frame that holds the long threads tight|keep the tension even
kiln|turn clay to stone|brick walls that keep the fire in|heat slowly and cool more slowly
plough|turn the soil|a curved blade that is drawn by horses or an engine|follow the line of the hill
needle|sew cloth|a thin piece of steel with an eye|use a thread no longer than your arm
pen|write|a split point that draws ink to the paper|hold it lightly
knife|cut food|a hard edge on a tougher back|keep it sharp, because a dull one slips
pump|move water|a chamber that grows and shrinks between two valves|never let it run dry
transistor|switch and amplify a current|a small piece of silicon with three contacts|keep it cool
laser|make light of a single colour|mirrors around something that can be made to glow|keep it away from every eye
printer|put text on paper|small drops of ink or a fine powder|feed it dry paper`;

export function factPassages(): string[] {
  return [
    ...rows(COUNTRIES).map(([name, capital, continent, river, known]) =>
      [
        `The capital of ${name} is ${capital}. ${name} is a country in ${continent}, and it is known for ${known}.`,
        `Whoever travels to ${name} usually begins in ${capital}, the capital, where the government sits.`,
        `Of its rivers, ${river} is one of the best known. People who come back from ${name} speak of ${known}.`,
      ].join(' '),
    ),
    ...rows(ELEMENTS).map(([name, symbol, number, state, note]) =>
      [
        `The symbol of ${name} is ${symbol}, and its atomic number is ${number}.`,
        `The chemical element ${name} is ${note}. At room temperature it is a ${name === 'mercury' ? 'liquid metal' : state}.`,
        `Each atom of ${name} has ${number} ${number === '1' ? 'proton' : 'protons'} in its nucleus,`,
        `and that number alone makes it ${name} and nothing else.`,
      ].join(' '),
    ),
    ...rows(ANIMALS).map(([name, food, home, habit]) =>
      [
        `The ${name} lives in ${home}. It eats ${food}.`,
        `What is most remarkable about the ${name} is that it ${habit}.`,
        `If you want to see one, be patient and keep still: the ${name} notices you long before you notice it.`,
      ].join(' '),
    ),
    ...rows(TOOLS).map(([name, use, parts, advice]) =>
      [
        `A ${name} is used to ${use}. It is made of ${parts}.`,
        `Whoever works with a ${name} learns the first rule soon: ${advice}.`,
        `People have changed the ${name} many times, and its purpose has stayed the same, namely to ${use}.`,
      ].join(' '),
    ),
    ...rows(PLANETS).map(([name, order, stuff, note]) =>
      [
        `${name} is the ${order} planet from the sun. The planet is made mostly of ${stuff}. It is ${note}.`,
        `Like all planets, ${name} moves in an ellipse, faster when it is near the sun and slower when it is far away.`,
      ].join(' '),
    ),
  ];
}

function rows(table: string): string[][] {
  return table
    .trim()
    .split('\n')
    .map((row) => row.split('|'));
}
