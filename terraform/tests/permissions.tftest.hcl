# Least privilege: what each role may do, spelled out, and what it must not.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  source_prefix      = "in/"
  table_uri          = "s3://example-lake/tables/orders"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
}

run "defaults" {
  # The whole list, so that a permission that is added has to be added here, too.
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.splitter.policy).Statement : statement.Sid => [flatten([statement.Action]), flatten([statement.Resource])] } == {
      ReadSource     = [["s3:GetObject", "s3:GetObjectVersion"], ["arn:aws:s3:::example-drops/in/*"]]
      ListSource     = [["s3:ListBucket"], ["arn:aws:s3:::example-drops"]]
      WriteChunks    = [["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice/*"]]
      NoteDrops      = [["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice_drops/*"]]
      ListChunks     = [["s3:ListBucket"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1"]]
      ReadTableLog   = [["s3:GetObject"], ["arn:aws:s3:::example-lake/tables/orders/_delta_log/*"]]
      ListTableLog0  = [["s3:ListBucket"], ["arn:aws:s3:::example-lake"]]
      ReceiveEvents  = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], ["arn:aws:sqs:eu-central-1:000000000000:sluice-events"]]
      SendChunkTasks = [["sqs:SendMessage"], ["arn:aws:sqs:eu-central-1:000000000000:sluice-chunks"]]
      HandOver       = [["sqs:SendMessage"], ["arn:aws:sqs:eu-central-1:000000000000:sluice-events"]]
      WriteLogs      = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/sluice-splitter:*"]]
    }
    error_message = "The splitter's role must allow this and nothing else."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.worker.policy).Statement : statement.Sid => [flatten([statement.Action]), flatten([statement.Resource])] } == {
      ReadChunksWriteReceipts = [["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice/*"]]
      ReadDrops               = [["s3:GetObject"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice_drops/*"]]
      ListChunks              = [["s3:ListBucket"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1"]]
      WriteTable              = [["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], ["arn:aws:s3:::example-lake/tables/orders/*"]]
      ListTable0              = [["s3:ListBucket"], ["arn:aws:s3:::example-lake"]]
      CleanWorkAreas          = [["s3:DeleteObject"], ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice/*"]]
      ReceiveChunkTasks       = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], ["arn:aws:sqs:eu-central-1:000000000000:sluice-chunks"]]
      WriteLogs               = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/sluice-worker:*"]]
    }
    error_message = "The worker's role must allow this and nothing else."
  }

  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] : [
        for statement in jsondecode(policy.policy).Statement : [
          statement.Effect == "Allow",
          [for action in flatten([statement.Action]) : !strcontains(action, "*")],
          # A wildcard only at the end, after a prefix of our own.
          [for resource in flatten([statement.Resource]) : resource != "*" && !strcontains(trimsuffix(resource, "*"), "*") && !endswith(resource, ":::*")],
        ]
      ]
    ]))
    error_message = "No wildcard in an action, and none in a resource but after its prefix."
  }

  assert {
    condition     = !strcontains(replace(aws_iam_role_policy.splitter.policy, "example-lake/tables/orders/_delta_log/*", ""), "example-lake/") && !strcontains(aws_iam_role_policy.splitter.policy, "s3:DeleteObject")
    error_message = "The splitter must reach nothing of the table but its log, nor delete anything."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.worker.policy, "example-drops") && !strcontains(aws_iam_role_policy.worker.policy, "sluice-events") && !strcontains(aws_iam_role_policy.worker.policy, "sqs:SendMessage")
    error_message = "The worker must not reach the source bucket or the events queue, nor send anything."
  }

  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] : [
        for statement in jsondecode(policy.policy).Statement : alltrue([for prefix in flatten([statement.Condition.StringLike["s3:prefix"]]) : can(regex("^(in|sluice|sluice_drops|tables/orders|tables/orders/_delta_log)/\\*$", prefix))]) if contains(flatten([statement.Action]), "s3:ListBucket")
      ]
    ]))
    error_message = "A bucket may be listed below our prefixes only."
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] : !strcontains(policy.policy, "kms:") && !strcontains(policy.policy, "ec2:")
    ])
    error_message = "No permissions for keys and networks unless asked."
  }

  assert {
    condition = alltrue([
      for role in [aws_iam_role.function["splitter"], aws_iam_role.function["worker"]] : [for statement in jsondecode(role.assume_role_policy).Statement : [statement.Principal, statement.Action]] == [[{ Service = "lambda.amazonaws.com" }, "sts:AssumeRole"]]
    ])
    error_message = "Only Lambda may take the roles."
  }

  assert {
    condition     = aws_iam_role_policy.splitter.role == aws_iam_role.function["splitter"].name && aws_iam_role_policy.worker.role == aws_iam_role.function["worker"].name && aws_lambda_function.splitter.role == aws_iam_role.function["splitter"].arn && aws_lambda_function.worker.role == aws_iam_role.function["worker"].arn
    error_message = "Each function has its own role with its own policy."
  }

  assert {
    condition     = length(aws_lambda_function_recursion_config.splitter) == 1 && aws_lambda_function_recursion_config.splitter[0].recursive_loop == "Allow" && aws_lambda_function_recursion_config.splitter[0].function_name == "sluice-splitter"
    error_message = "A splitter that hands over must not be stopped as a loop."
  }
}

run "no_hand_over" {
  variables {
    splitter_hand_over = false
  }

  assert {
    condition     = length(aws_lambda_function_recursion_config.splitter) == 0 && !contains(jsondecode(aws_iam_role_policy.splitter.policy).Statement[*].Sid, "HandOver") && !contains(keys(aws_lambda_function.splitter.environment[0].variables), "SOURCE_QUEUE_URL")
    error_message = "Without hand-over the splitter must not send to its own queue, and loops stay forbidden."
  }
}

run "completion_topic" {
  variables {
    completion_topic_arn = "arn:aws:sns:eu-central-1:000000000000:loaded"
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] : [
        for statement in jsondecode(policy.policy).Statement : [statement.Action, statement.Resource] if statement.Sid == "TellOfJobs"
      ] == [["sns:Publish", "arn:aws:sns:eu-central-1:000000000000:loaded"]]
    ])
    error_message = "Whichever sees a job done must be able to tell of it, and to tell nobody else."
  }
}

run "vpc" {
  variables {
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-1"]
  }

  assert {
    condition = alltrue([
      for function in [aws_lambda_function.splitter, aws_lambda_function.worker] :
      function.vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"]) && function.vpc_config[0].security_group_ids == toset(["sg-1"])
    ])
    error_message = "Both functions must run in the subnets."
  }

  assert {
    condition = alltrue([
      for name, policy in { splitter = aws_iam_role_policy.vpc["splitter"], worker = aws_iam_role_policy.vpc["worker"] } : (
        alltrue([for statement in jsondecode(policy.policy).Statement : alltrue([for action in statement.Action : startswith(action, "ec2:") && !strcontains(action, "*")])]) &&
        jsondecode(policy.policy).Statement[*].Effect == ["Allow", "Deny"] &&
        jsondecode(policy.policy).Statement[0].Action == jsondecode(policy.policy).Statement[1].Action &&
        jsondecode(policy.policy).Statement[1].Condition.ArnEquals["lambda:SourceFunctionArn"] == "arn:aws:lambda:eu-central-1:000000000000:function:sluice-${name}"
      )
    ])
    error_message = "What Lambda may do in the VPC, the function's own code must not."
  }
}

run "routes" {
  variables {
    table_uri       = null
    routes_file     = "tests/routes.toml"
    route_tables    = ["s3://example-lake/raw", "s3://other-lake/orders"]
    route_contracts = ["s3://example-config/orders.toml"]
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.splitter.policy).Statement : statement.Sid => flatten([statement.Resource]) if contains(["ReadRoutes", "ReadContract", "ReadTableLog", "ListTableLog1", "ListTableLogBelow0"], statement.Sid) } == {
      ReadRoutes   = ["arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice_config/routes.toml"]
      ReadContract = ["arn:aws:s3:::example-config/orders.toml"]
      ReadTableLog = [
        "arn:aws:s3:::example-lake/raw/_delta_log/*", "arn:aws:s3:::other-lake/orders/_delta_log/*",
        "arn:aws:s3:::example-lake/raw/*/_delta_log/*", "arn:aws:s3:::other-lake/orders/*/_delta_log/*",
      ]
      ListTableLog1      = ["arn:aws:s3:::other-lake"]
      ListTableLogBelow0 = ["arn:aws:s3:::example-lake"]
    }
    error_message = "The splitter must reach the routes, and the tables and contracts that are named."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.worker.policy).Statement : statement.Resource if statement.Sid == "WriteTable"] == [
      ["arn:aws:s3:::example-lake/raw/*", "arn:aws:s3:::other-lake/orders/*"]
    ]
    error_message = "The worker must write the tables that are named, and no others."
  }

  assert {
    condition = alltrue([
      for function in [aws_lambda_function.splitter, aws_lambda_function.worker] :
      function.environment[0].variables.ROUTES_URI == "s3://sluice-chunks-000000000000-eu-central-1/sluice_config/routes.toml" && !contains(keys(function.environment[0].variables), "TABLE_URI")
    ])
    error_message = "Both functions must be told of the routes, and of no table."
  }

  assert {
    condition     = aws_s3_object.routes[0].key == "sluice_config/routes.toml" && aws_s3_object.routes[0].source == "tests/routes.toml"
    error_message = "The routes must be uploaded."
  }
}

run "lookups" {
  variables {
    lookup_uris = ["s3://example-ref/customers.parquet", "s3://example-lake/ref/countries"]
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] :
      { for statement in jsondecode(policy.policy).Statement : statement.Sid => flatten([statement.Resource]) if contains(["ReadLookups", "ListLookup1"], statement.Sid) } == {
        ReadLookups = [
          "arn:aws:s3:::example-ref/customers.parquet", "arn:aws:s3:::example-ref/customers.parquet/*",
          "arn:aws:s3:::example-lake/ref/countries", "arn:aws:s3:::example-lake/ref/countries/*",
        ]
        ListLookup1 = ["arn:aws:s3:::example-lake"]
      }
    ])
    error_message = "Both functions must read the look-ups that are named."
  }
}

run "routes_in_dynamodb" {
  variables {
    table_uri       = null
    routes_dynamodb = { table = "routes", tables_uri = "s3://example-lake/raw" }
    route_tables    = ["s3://example-lake/raw"]
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.splitter.policy).Statement : statement.Sid => statement.Resource if contains(["ReadRoutes", "ScanRoutes"], statement.Sid) } == {
      ScanRoutes = "arn:aws:dynamodb:eu-central-1:000000000000:table/routes"
    }
    error_message = "The splitter must read the table of routes, and no file of them."
  }

  assert {
    condition = length(aws_s3_object.routes) == 0 && alltrue([
      for function in [aws_lambda_function.splitter, aws_lambda_function.worker] :
      function.environment[0].variables.ROUTES_URI == "dynamodb://routes?tables=s3://example-lake/raw"
    ])
    error_message = "Both functions must be told of the table of routes."
  }
}

run "no_vpc" {
  variables {
    permissions_boundary_arn = "arn:aws:iam::000000000000:policy/boundary"
  }

  assert {
    condition     = length(aws_iam_role_policy.vpc) == 0 && length(aws_lambda_function.splitter.vpc_config) == 0 && length(aws_lambda_function.worker.vpc_config) == 0
    error_message = "Outside a VPC there must be nothing of it."
  }

  assert {
    condition     = aws_iam_role.function["splitter"].permissions_boundary == var.permissions_boundary_arn && aws_iam_role.function["worker"].permissions_boundary == var.permissions_boundary_arn
    error_message = "Both roles must have the boundary."
  }
}
