using System.Diagnostics;
using OpenTelemetry;
using Temporalio.Api.Common.V1;
using Temporalio.Worker.Interceptors;
using Temporalio.Workflows;

namespace SnapshotFlow.Telemetry;

public sealed partial class TracingInterceptor
{
    /// <summary>
    /// A workflow lives in several processes and only in its history for ever, and a span lives in one process: so the workflow's own spans are points.
    /// <c>RunWorkflow</c> when it begins, <c>ResumeWorkflow</c> when another process (or the same one, after it had put the workflow away) has rebuilt it
    /// from its history, and <c>CompleteWorkflow</c>, which spans the whole run. Whatever it starts is a child of the last of the first two, and has a link to who
    /// started the run: a process that is killed takes along the points that it has not sent yet. A run that nobody traced, such as one of a schedule, has its
    /// own id for its trace, so that whoever resumes it knows it.
    /// </summary>
    private sealed class TracedWorkflow(WorkflowInboundInterceptor next) : WorkflowInboundInterceptor(next)
    {
        private TracerData? started;
        private ActivityContext? here;
        private bool hasBegun;

        /// <summary>Parent of what the workflow starts now.</summary>
        // A handler may run before the workflow's own method, in the first task of all.
        public ActivityContext Here => here ??= Point(hasBegun ? "ResumeWorkflow" : "RunWorkflow") ?? Caller.Parent;

        /// <summary>Who started the run; of a child, who started the outermost.</summary>
        public ActivityContext Starter => Caller.Starter != default ? Caller.Starter : Caller.Parent;

        public Baggage Baggage => Caller.Baggage;

        /// <summary>What came with the start.</summary>
        private TracerData Caller => started ??= TracerData.From(Workflow.Info.Headers);

        public override void Init(WorkflowOutboundInterceptor outbound) => base.Init(new TracedCommands(outbound, this));

        public override async Task<object?> ExecuteWorkflowAsync(ExecuteWorkflowInput input)
        {
            Baggage.Current = Baggage;
            if (!Workflow.Unsafe.IsReplaying)
            {
                _ = Here;
            }

            hasBegun = true;
            using var scope = Workflow.Logger.BeginScope(LogFields.Of(Baggage, ("workflow_id", Workflow.Info.WorkflowId), ("run_id", Workflow.Info.RunId), (LogFields.TraceId, LogFields.TraceOf(Caller))));
            try
            {
                var result = await base.ExecuteWorkflowAsync(input);
                Complete(null);
                return result;
            }
            catch (Exception e)
            {
                Complete(e);
                throw;
            }
        }

        public override Task HandleSignalAsync(HandleSignalInput input) =>
            HandleAsync($"HandleSignal:{input.Signal}", null, input.Headers, async () =>
            {
                await base.HandleSignalAsync(input);
                return true;
            });

        public override Task<object?> HandleUpdateAsync(HandleUpdateInput input) =>
            HandleAsync($"HandleUpdate:{input.Update}", input.Id, input.Headers, () => base.HandleUpdateAsync(input));

        private async Task<T> HandleAsync<T>(string name, string? updateId, IReadOnlyDictionary<string, Payload>? headers, Func<Task<T>> handler)
        {
            if (Workflow.Unsafe.IsReplaying)
            {
                return await handler();
            }

            Point(name, TracerData.From(headers), updateId);
            return await handler();
        }

        private ActivityContext? Point(string name) => Point($"{name}:{Workflow.Info.WorkflowType}", Caller, null);

        private ActivityContext? Point(string name, TracerData caller, string? updateId)
        {
            using var span = Start(name, caller);
            if (updateId is not null)
            {
                span?.SetTag(UpdateIdTag, updateId);
            }

            // A handler's caller may have a trace of its own; the run's is one link away.
            return span?.Context;
        }

        private void Complete(Exception? e)
        {
            if (Workflow.Unsafe.IsReplaying)
            {
                return;
            }

            using var span = Start($"CompleteWorkflow:{Workflow.Info.WorkflowType}", Caller, Workflow.Info.WorkflowStartTime);
            if (e is not null)
            {
                Fail(span, e);
            }
        }

        /// <summary>
        /// For a run that nobody traced: a run id is a UUID, and so as long as a trace id. A parent that names a trace and no span makes a root of that trace.
        /// Source: System.Diagnostics.Activity.
        /// </summary>
        private static ActivityContext TraceOfItsOwn =>
            Guid.TryParse(Workflow.Info.RunId, out var run) ? new(ActivityTraceId.CreateFromString(run.ToString("N")), default, ActivityTraceFlags.Recorded) : default;

        private Activity? Start(string name, TracerData caller, DateTimeOffset startTime = default)
        {
            // Whoever called may trace on behalf of somebody else than who started the run; who traces nothing belongs to the run.
            var from = caller.Parent == default ? Caller : caller;
            var links = Caller.Parent == default || from.Parent.TraceId == Caller.Parent.TraceId ? from.Links : from.Links.Append(new(Caller.Parent));
            var parent = from.Parent == default ? TraceOfItsOwn : from.Parent;
            var span = TelemetrySources.WorkflowSource.StartActivity(name, ActivityKind.Server, parent, links: links, startTime: startTime);
            span?.SetTag(WorkflowIdTag, Workflow.Info.WorkflowId);
            span?.SetTag(RunIdTag, Workflow.Info.RunId);
            return span;
        }
    }

    /// <summary>Spans of what a workflow starts.</summary>
    private sealed class TracedCommands(WorkflowOutboundInterceptor next, TracedWorkflow run) : WorkflowOutboundInterceptor(next)
    {
        public override Task<TResult> ScheduleActivityAsync<TResult>(ScheduleActivityInput input) =>
            base.ScheduleActivityAsync<TResult>(input with { Headers = Traced($"StartActivity:{input.Activity}", input.Headers, input.Options.Summary) });

        public override Task<TResult> ScheduleLocalActivityAsync<TResult>(ScheduleLocalActivityInput input) =>
            base.ScheduleLocalActivityAsync<TResult>(input with { Headers = Traced($"StartActivity:{input.Activity}", input.Headers, input.Options.Summary) });

        public override Task<ChildWorkflowHandle<TWorkflow, TResult>> StartChildWorkflowAsync<TWorkflow, TResult>(StartChildWorkflowInput input) =>
            base.StartChildWorkflowAsync<TWorkflow, TResult>(input with { Headers = Traced($"StartChildWorkflow:{input.Workflow}", input.Headers, input.Options.StaticSummary) });

        public override Task SignalChildWorkflowAsync(SignalChildWorkflowInput input) =>
            base.SignalChildWorkflowAsync(input with { Headers = Traced($"SignalChildWorkflow:{input.Signal}", input.Headers, null) });

        public override Task SignalExternalWorkflowAsync(SignalExternalWorkflowInput input) =>
            base.SignalExternalWorkflowAsync(input with { Headers = Traced($"SignalExternalWorkflow:{input.Signal}", input.Headers, null) });

        public override ContinueAsNewException CreateContinueAsNewException(CreateContinueAsNewExceptionInput input) =>
            base.CreateContinueAsNewException(input with { Headers = Traced($"ContinueAsNew:{input.Workflow}", input.Headers, null) });

        private IDictionary<string, Payload>? Traced(string name, IDictionary<string, Payload>? headers, string? summary)
        {
            if (Workflow.Unsafe.IsReplaying)
            {
                return headers;
            }

            var parent = run.Here;
            using var span = TelemetrySources.WorkflowSource.StartActivity(name, ActivityKind.Client, parent);
            span?.SetTag(WorkflowIdTag, Workflow.Info.WorkflowId);
            span?.SetTag(RunIdTag, Workflow.Info.RunId);
            if (summary is not null)
            {
                span?.SetTag("temporalSummary", summary);
            }

            return new TracerData(span?.Context ?? parent, run.Starter, run.Baggage).Into(headers);
        }
    }
}
