using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Histories as they are kept: without what tells of the machine they were recorded on.</summary>
public static partial class RecordedHistory
{
    /// <summary>The history of a run, as it is kept.</summary>
    public static async Task<string> OfAsync(WorkflowHandle run)
    {
        var history = JsonNode.Parse((await run.FetchHistoryAsync()).ToJson())!;
        Scrub(history);
        return history.ToJsonString() + "\n";
    }

    /// <summary>Takes out process ids, host names, and paths in stack traces.</summary>
    public static void Scrub(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject o:
                o.Remove("stackTrace");
                foreach (var (name, value) in o.ToList())
                {
                    o[name] = Scrubbed(value);
                }

                break;
            case JsonArray a:
                for (var i = 0; i < a.Count; i++)
                {
                    a[i] = Scrubbed(a[i]);
                }

                break;
        }
    }

    private static JsonNode? Scrubbed(JsonNode? value)
    {
        if (value is JsonValue leaf && leaf.TryGetValue<string>(out var text))
        {
            return JsonValue.Create(WorkerIdentity().Replace(text, "worker"));
        }

        Scrub(value);
        return value?.DeepClone();
    }

    /// <summary>The SDK's default identity of a worker: process id and host name.</summary>
    [GeneratedRegex(@"\b\d+@[A-Za-z0-9.]+")]
    private static partial Regex WorkerIdentity();
}
