using System.Diagnostics;
using OpenTelemetry;
using Temporalio.Activities;
using Temporalio.Worker.Interceptors;

namespace SnapshotFlow.Telemetry;

public sealed partial class TracingInterceptor
{
    /// <summary>One span for each attempt, and the request's fields on every line that the attempt logs.</summary>
    private sealed class TracedActivity(ActivityInboundInterceptor next) : ActivityInboundInterceptor(next)
    {
        public override async Task<object?> ExecuteActivityAsync(ExecuteActivityInput input)
        {
            var info = ActivityExecutionContext.Current.Info;
            var caller = TracerData.From(input.Headers);
            Baggage.Current = caller.Baggage;
            using var span = TelemetrySources.ActivitySource.StartActivity($"RunActivity:{info.ActivityType}", ActivityKind.Server, caller.Parent, links: caller.Links);
            if (span is not null)
            {
                span.SetTag(WorkflowIdTag, info.WorkflowId);
                span.SetTag(RunIdTag, info.WorkflowRunId);
                span.SetTag(ActivityIdTag, info.ActivityId);
                span.SetTag("temporalActivityAttempt", info.Attempt);
                span.SetTag("temporalTaskQueue", info.TaskQueue);
            }

            using var scope = ActivityExecutionContext.Current.Logger.BeginScope(LogFields.Of(
                Baggage.Current, ("workflow_id", info.WorkflowId), ("run_id", info.WorkflowRunId), ("step", info.ActivityType), ("attempt", info.Attempt),
                (LogFields.TraceId, LogFields.TraceOf(caller))));
            try
            {
                return await base.ExecuteActivityAsync(input);
            }
            catch (Exception e)
            {
                Fail(span, e);
                throw;
            }
        }
    }
}
