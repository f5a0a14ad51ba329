from ganlib.proofs.kernel import Proof, ProofError, Report, Step
from ganlib.proofs.lemma import lemma
