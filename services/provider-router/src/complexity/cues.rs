//! The words by which a question is judged.
//!
//! Cues stand between bars. Each begins a word; one that ends in a space ends a word too.

pub(super) const EXPLAINING_CUES: &str = "
 explain| describ| summar| how do | how does | how can | how to | how would | how is | how are |
 write | draft | rewrite | outline | difference| recommend| suggest | list | give me | build a |
 example| erklär| beschreib| fasse | zusammenfass| wie funktioniert| wie kann | wie geht | schreib|
 unterschied| empfiehl| nenne | beispiel| explica| resum| cómo | escrib| diferencia| recomiend|
 ejemplo| expliqu| décri| résum| comment f| comment puis | écri| différence| exemple|
";
pub(super) const WEIGHING_CUES: &str = "
 why | compar| contrast| versus | vs | pros and cons | trade off| analys| analyz| evaluat| assess|
 justif| critique| implication| consequence| should i | should we | what if | would happen |
 is better | are better | better than | best way | best approach | argue | reason | reasoning |
 interpret | diagnos| decide | weigh up | solve | investigat| hypothes| imply | implies | cause |
 causes | strateg| warum | wieso | weshalb | vergleich| abwäg| vor und nachteile | bewert|
 beurteil| begründ| soll ich | sollte ich | sollten wir | was wäre wenn | auswirkung| ursache|
 löse | besser als | por qué | por que | analiz| evalúa| ventajas y desventajas | debería|
 qué pasaría | consecuencia| resuelve | pourquoi | évalu| avantages et inconvénients |
 devrais je | se passerait | conséquence| résous |
";
pub(super) const WORKING_OUT_CUES: &str = "
 prove | proof | disprove | derive | derivation | design | designing | software architecture |
 system architecture | implement| optimise| optimize| optimisation| optimization| refactor|
 debug| root cause | step by step | migrate | migrating | plan a | plan my | plan for | simulat|
 from scratch | end to end | develop a | beweis | beweise | herleit| leite die | entwirf |
 entwerf| entwickle | konzipier| optimier| schritt für schritt | plane ein| plane mein|
 demuestra | demostrar | diseña| optimiza| paso a paso | planifica| desarrolla | démontre|
 prouve | conçois | concevoir | implémente| étape par étape | planifie| développe |
";
pub(super) const CONSTRAINT_CUES: &str = "
 must | at least | at most | no more than | no less than | without | only | except | unless |
 exactly | ensure | make sure | should not | never | as long as | provided that | budget |
 deadline | constraint| avoid | do not | don t | muss | müssen | mindestens | höchstens | ohne |
 nur | außer | genau | keine | debe | al menos | como máximo | sin usar | solo | sólo | excepto |
 doit | au moins | au plus | sans | seulement | sauf |
";
pub(super) const SEQUENCE_CUES: &str = "
 first | then | next | finally | after that | afterwards | secondly | zuerst | dann | danach |
 anschließend | schließlich | primero | luego | después | finalmente | d abord | ensuite | enfin |
";
pub(super) const CODE_CUES: &str = "
 code | function | python | rust | javascript | typescript | java | sql | regex| bug | bugs |
 exception| stack trace | compile| unit test| api | endpoint| query | script | class | struct |
 thread| async| mutex | deadlock| race condition| algorithm| kubernetes | docker | git | css |
 html | database| schema| json | yaml | bash | funktion | datenbank| skript | código | función |
 base de datos | fonction | base de données |
";
pub(super) const SMALL_TALK_CUES: &str = "
 hi | hello | hey | good morning | good evening | good night | how are you | thank| thx | bye |
 goodbye | ok thank| nice | great | cool | hallo | moin | guten morgen | guten tag | guten abend |
 danke| tschüss | wie geht es | hola | buenos días | buenas | gracias | adiós | bonjour | bonsoir |
 salut | merci | au revoir | ça va |
";
pub(super) const LOOKUP_CUES: &str = "
 what is | what s | what are | what does | who | when is | when was | when did | where is |
 what time | what day | which year | how many | how much | how old | how tall | how far |
 how long | define | spell | translate | convert | was ist | wer | wann | wo ist | wie viel|
 wie alt | wie hoch | wie heißt | übersetze | qué es | quién | cuándo | cuánt| dónde | cuál es |
 traduce | qui | quand | où est | combien | quel est | quelle est | qu est ce que | traduis |
";
/// A message of nothing but these asks for more of the same.
pub(super) const GO_ON_CUES: &str = "
 yes | yeah | yep | sure | ok | okay | please | go | on | ahead | continue | do | it | that |
 proceed | more | and | then | now | next | ja | bitte | weiter | mach | sí | si | sigue | continúa |
 por | favor | oui | vas | y |
";

/// Those of a list that stand in a text of words with a space around each.
pub(super) fn found(list: &'static str, words: &str) -> Vec<&'static str> {
    each(list)
        .filter(|cue| words.contains(cue))
        .map(str::trim)
        .collect()
}

/// Whether a text of words begins with one of a list.
pub(super) fn begins(list: &'static str, words: &str) -> bool {
    each(list).any(|cue| words.starts_with(cue))
}

/// Whether a word is one of a list.
pub(super) fn has(list: &'static str, word: &str) -> bool {
    each(list).any(|cue| cue.trim() == word)
}

fn each(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(['|', '\n']).filter(|cue| !cue.trim().is_empty())
}
