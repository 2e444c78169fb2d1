using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>How a workflow that a schedule started ended: its last run closed, and no retry, cron or continued run follows.</summary>
/// <param name="WorkflowId">Its id.</param>
/// <param name="FirstRunId">The first run of its chain.</param>
/// <param name="Status">Of the last run; never continued-as-new.</param>
/// <param name="Result">Of a completed run.</param>
/// <param name="Failure">Of a failed run.</param>
internal sealed record ClosedAction(string WorkflowId, string FirstRunId, WorkflowExecutionStatus Status, Payloads? Result, Failure? Failure);
