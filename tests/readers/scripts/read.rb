# Reads env files with ruby-dotenv: `ruby read.rb < files.json > answers.json`.
require "dotenv"
require "json"

answers = JSON.parse($stdin.read).map do |file|
  before = ENV.to_hash
  begin
    Dotenv.load(file["path"])
    { variables: ENV.to_hash }
  rescue => error
    { error: error.inspect }
  ensure
    ENV.replace(before)
  end
end
print JSON.generate(answers)
