// Scores each argument with edged, all of them at once, and prints label and score.
//   npm install zeromq && node client.js ipc:///run/edged/edged.sock "Bright cherry, long finish."
const { Dealer } = require("zeromq")

async function classify(endpoint, texts) {
  const socket = new Dealer({ linger: 0, receiveTimeout: 10_000 })
  socket.connect(endpoint)
  for (const [id, text] of texts.entries()) await socket.send(JSON.stringify({ id, text }))
  const replies = [] // they may overtake one another: the id says which is whose
  for (const _ of texts) {
    const reply = JSON.parse((await socket.receive()).at(-1))
    replies[reply.id] = reply
  }
  socket.close()
  return replies
}

const [endpoint, ...texts] = process.argv.slice(2)
classify(endpoint, texts).then(replies => {
  for (const { label, score, error } of replies) console.log(error ? error.hint : `${label}\t${score}`)
}, error => {
  console.error(`${endpoint}: ${error.message}`)
  process.exit(69)
})
