#include "plan/train/loss.h"

namespace nnfast::plan {
namespace {

const char* attributes_of(const std::string& loss) {
  if (loss == "huber") return "delta";
  if (loss == "binary_cross_entropy") return "from_logits";
  if (loss == "cross_entropy") return "from_logits label_smoothing";
  return "";
}

}  // namespace

LossOptions loss_options(const NodeSpec& spec, bool on_logits) {
  const LossOptions options = parse_loss(spec.op, on_logits, spec.number_or("delta", 1),
                                         spec.number_or("label_smoothing", 0), spec.op);
  require_known(spec, attributes_of(spec.op));
  return options;
}

bool wants_logits(const NodeSpec& loss) { return loss.integer_or("from_logits", 0) != 0; }

bool loss_takes_logits_of(const NodeSpec& loss, const GraphNode& output) {
  const bool many = loss.op == "cross_entropy", two = loss.op == "binary_cross_entropy";
  if (!many && !two) return false;
  const char* wanted = many ? "softmax" : "sigmoid";
  const bool from_logits = wants_logits(loss);
  const NodeSpec& node = output.spec;
  const bool names_one = output.is(Trait::activation | Trait::ends_in_activation);
  const std::string activation =
      names_one && node.has("activation") ? node.string("activation") : "identity";
  const bool ends_so = activation == wanted;
  const bool others = activation == (many ? "sigmoid" : "softmax");
  require(from_logits || !others, loss.op, ": expected the network to end in ", wanted, ", got ",
          activation, " at the output of ", node.name, "; use the loss ",
          many ? "binary_cross_entropy" : "cross_entropy", ", or end it with activation=\"", wanted,
          "\"");
  require(from_logits || ends_so, loss.op, ": expected the network to end in ", wanted, ", got ",
          activation, " at the output of ", node.name, "; end it with activation=\"", wanted,
          "\", or use the loss with from_logits=True");
  require(!from_logits ||
              (activation != "softmax" && activation != "log_softmax" && activation != "sigmoid"),
          loss.op, ": expected logits because of from_logits=True, got the output of ", activation,
          " from ", node.name, "; drop that activation, or use from_logits=False");
  return ends_so;
}

}  // namespace nnfast::plan
