-- Choices by headers whose names are known only while HAProxy runs: they stand in the routing map.

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- "canary;x-cohort=beta;x-site=a%20b|stable;x-cohort=old": rules, each with all of its headers.
local function rules_in(text)
  local rules = {}
  for part in text:gmatch("[^|]+") do
    local rule = { to = part:match("^[^;]+"), headers = {} }
    for name, value in part:gmatch(";([^=;]+)=([^;]*)") do
      rule.headers[#rule.headers + 1] = { name, decoded(value) }
    end
    rules[#rules + 1] = rule
  end
  return rules
end

local known, rules = "", {}

local function holds(txn, rule)
  for _, header in ipairs(rule.headers) do
    if txn.sf:req_fhdr(header[1]) ~= header[2] then
      return false
    end
  end
  return true
end

-- To whom the first rule that holds sends the request: "canary" or "stable"; empty if none does.
core.register_fetches("matched", function(txn)
  local text = txn:get_var("txn.match")
  if text ~= known then
    known, rules = text, rules_in(text)
  end
  for _, rule in ipairs(rules) do
    if holds(txn, rule) then
      return rule.to
    end
  end
  return ""
end)

-- By what a request is sticky: the value of the header or cookie; empty if it has none.
core.register_fetches("sticky_key", function(txn)
  local kind, name = txn:get_var("txn.sticky"):match("^(%a+):(.*)$")
  if kind == "cookie" then
    return txn.sf:req_cook(name)
  end
  return txn.sf:req_fhdr(name)
end)
