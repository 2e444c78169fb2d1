using System.Globalization;
using Microsoft.AspNetCore.Routing.Patterns;

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

    /// <summary>Answers every call of a service that is not among the served ones.</summary>
    public static void Map(WebApplication app, string service, IReadOnlySet<string> served)
    {
        var calls = RoutePatternFactory.Parse($"/{service}/{{method}}", defaults: null, parameterPolicies: new { method = new NotServed(served) });

        // Before the library's own route for unknown methods, which names no feature.
        app.Map(calls, Refuse).WithOrder(-1);
    }

    private static Task Refuse(HttpContext context)
    {
        var method = (string)context.GetRouteValue("method")!;
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)StatusCode.Unimplemented).ToString(CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString($"{method}: temporal-dev does not implement {FeatureOf(method)}.");
        return Task.CompletedTask;
    }

    /// <summary>The feature that a call belongs to; the call's own name when it is none of those left out on purpose.</summary>
    public static string FeatureOf(string methodName) =>
        Features.FirstOrDefault(f => methodName.Contains(f.Part, StringComparison.Ordinal)).Feature ?? methodName;

    private sealed class NotServed(IReadOnlySet<string> served) : IRouteConstraint
    {
        public bool Match(HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection) =>
            values[routeKey] is string method && !served.Contains(method);
    }
}
