# The settings that are passed on to the functions, and the list that they are checked against: what `sluice settings --json` prints.

locals {
  known_settings = { for setting in jsondecode(file("${path.module}/settings.json")) : setting.name => setting }

  # Those that the module sets itself.
  own_settings = ["CHUNK_BUCKET", "CHUNK_PREFIX", "CHUNK_QUEUE_URL", "COMPLETION_TOPIC_ARN", "ROUTES_URI", "SOURCE_QUEUE_URL", "TABLE_URI"]

  # What each function is given: of the settings those that it reads.
  settings = {
    for function in ["splitter", "worker"] : function => {
      for name, value in var.settings : name => value if contains(try(local.known_settings[name].used_by, []), function)
    }
  }

  # Those with which a function would not start. A setting has bounds, words or a pattern, whichever its type is.
  wrong_settings = {
    for function, settings in local.settings : function => [
      for name, value in settings : "${name}='${value}'" if !anytrue([
        try(can(regex("^[0-9]+$", value)) && tonumber(value) >= local.known_settings[name].least && tonumber(value) <= local.known_settings[name].most, false),
        try(contains(local.known_settings[name].words, value), false),
        can(regex("^(${local.known_settings[name].pattern})$", value)),
      ])
    ]
  }
}
