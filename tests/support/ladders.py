"""Hand-made ladders: texts that get harder rung by rung, in every respect that a measure looks at."""

LADDERS = {
    "en": [
        "The cat sat. I see the cat. You see the cat. The dog sat. I see the dog. You see the dog. The cat ran. The "
        "dog ran. I see the cat and the dog. The cat is good. The dog is good. We see the cat. We see the dog. The cat "
        "is in the house. The dog is in the house. I see you. You see me. We are in the house.",
        "The dog ran to the big red ball and the cat ran to the old hat. Then the cat sat on the hat and the dog ate "
        "porridge in the garden. We can see you and you can see me. My mother has a blue dress and my father has a "
        "horse. The sun is warm today and the boy goes to the river. He will play with his friend until the evening, "
        "and then they go home to eat supper.",
        "Yesterday the children walked slowly through the forest, and they found a small river near the hill. Two "
        "older boys built a wobbly bridge of branches while their sister collected yellow flowers beside the water. "
        "When the wind became stronger, everybody hurried back towards the village before the rain could reach their "
        "supper.",
        "After several unsuccessful attempts, the engineers finally repaired the damaged bridge, which reconnected the "
        "isolated village with neighbouring communities, although maintenance remained expensive throughout winter. "
        "Local merchants celebrated the achievement because transporting agricultural products had previously required "
        "enormous detours around mountainous territory, exhausting both vehicles and drivers.",
        "Notwithstanding considerable methodological disagreements, contemporary epistemologists predominantly "
        "acknowledge that propositional justification presupposes antecedent evidential considerations irreducible to "
        "psychological dispositions, whereas externalist counterproposals characteristically substitute "
        "counterfactual reliability, thereby relinquishing introspective accessibility altogether, "
        "transcendental vindications' notoriously intractable circularity notwithstanding.",
    ],
    "sv": [
        "Katten satt. Jag ser katten. Du ser katten. Han satt. Jag ser dem. Du ser dem. Katten är god. Han är god. Jag "
        "ser katten och dem. Vi ser katten. Vi ser dem. Katten är här. Han är här. Katten är stor och han är stor. Jag "
        "är här och du är här. Vi ser dem här.",
        "Hunden sprang till den fina katten på mattan och du kan se dem. Sedan satt katten på stolen och hunden låg på "
        "mattan. Min mor har en röd hatt och min far har en stor hund. Solen är uppe och pojken åt gröten och gick ner "
        "till sjön. Han vill leka med sin vän till kvällen, och sedan går de hem.",
        "Igår gick barnen sakta genom den mörka skogen och genom den djupa dalen, och de hittade en liten bäck nära "
        "berget bakom gården. Två äldre pojkar byggde en bro av grenar och deras syster plockade gula blommor bredvid "
        "bäcken. När vinden blev starkare skyndade alla tillbaka till den lilla byn innan regnet kunde hinna till dem.",
        "Efter flera misslyckade försök reparerade ingenjörerna slutligen den skadade bron, som återförenade den "
        "avskilda byn med närliggande samhällen, även om underhållet av bron förblev kostsamt under hela vintern. "
        "Ortens köpmän firade framgången eftersom transporter av jordbruksvaror tidigare krävt väldiga omvägar kring "
        "bergstrakten, vilket utmattade både fordon och förare.",
        "Oaktat avsevärda metodologiska meningsskiljaktigheter erkänner samtida kunskapsteoretiker företrädesvis att "
        "satsmässigt rättfärdigande förutsätter föregående evidensmässiga överväganden, oförenliga med psykologiska "
        "benägenheter, medan externalistiska motförslag karakteristiskt ersätter dessa genom kontrafaktisk "
        "tillförlitlighet, varigenom introspektiv tillgänglighet fullständigt prisges, transcendentala "
        "försvarsförsök notoriskt cirkulära till trots, hävdar ihärdiga skeptiker bland yngre universitetslärare, "
        "vilkas invändningar sällan bemötts utförligt.",
    ],
    "code": [
        "x = 1\nx = 1\nx = 1\nx = 1\n",
        "x = 1\ny = 2\nprint(x)\nprint(y)\n",
        "def add(x, y):\n    return x + y\n\n\ntotal = add(1, 2)\nprint(total)\n",
        "def count(words, known):\n    counts = {}\n    for word in words:\n        if word in known:\n"
        "            counts[word] = 1 + counts.get(word, 0)\n    return counts\n",
        "class Grid:\n    def cells(self, table):\n        for row, values in enumerate(table):\n"
        "            for column, value in enumerate(values):\n                if value is not None:\n"
        "                    yield (row, (column, self.shape(value, [row, (column, table)])))\n",
    ],
    "formal": ["abab", "()()()()", "(())(())", "((()()))", "(([({})]))"],
}
