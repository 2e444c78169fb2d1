using SnapshotFlow.TemporalDev.Hosting;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>What this server leaves out on purpose, by feature.</summary>
internal static class Unimplemented
{
    private static readonly (string Part, string Feature)[] Features =
    [
        ("Nexus", "Nexus"),
        ("Batch", "batch operations"),
        ("Deployment", "worker deployments"),
        ("Versioning", "worker versioning"),
        ("BuildId", "worker versioning"),
        ("Reachability", "worker versioning"),
        ("WorkflowRule", "workflow rules"),
        ("ActivityExecution", "standalone activities"),
        ("PauseWorkflow", "workflow pause"),
        ("UnpauseWorkflow", "workflow pause"),
        ("TimeSkipping", "time skipping per workflow"),
        ("Worker", "counting and configuring workers"),
        ("TaskQueuePartitions", "task queue partitions"),
        ("TaskQueue", "task queue configuration"),
        ("Archived", "archival"),
        ("Cluster", "multiple clusters"),
        ("OpenWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("ClosedWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("ScanWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("GetSearchAttributes", "the list that OperatorService.ListSearchAttributes replaced"),
        ("DeprecateNamespace", "namespace deprecation"),
        ("WorkflowExecutionOptions", "changing the options of a run"),
    ];

    /// <summary>Answers calls to methods that nobody serves, before gRPC does so without a word about the feature.</summary>
    public static Func<HttpContext, RequestDelegate, Task> Middleware(IReadOnlyList<ServedApi> services) => async (context, next) =>
    {
        if (context.Request.Path.Value?.Split('/') is not [_, var service, var method] || services.FirstOrDefault(s => s.Name == service) is not { } api || api.Serves(method))
        {
            await next(context);
            return;
        }

        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)StatusCode.Unimplemented).ToString(System.Globalization.CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString($"{method}: temporal-dev does not implement {FeatureOf(method)}.");
    };

    /// <summary>The feature that a call belongs to; the call's own name when it is none of those left out on purpose.</summary>
    public static string FeatureOf(string methodName) =>
        Features.FirstOrDefault(f => methodName.Contains(f.Part, StringComparison.Ordinal)).Feature ?? methodName;
}
