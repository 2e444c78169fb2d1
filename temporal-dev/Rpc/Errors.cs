using SnapshotFlow.TemporalDev.Engine;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>
/// Errors as gRPC carries them: beside code and text a <c>google.rpc.Status</c> with typed details in the trailer
/// <c>grpc-status-details-bin</c>, which is what the SDK reads.
/// </summary>
internal static class Errors
{
    private const string DetailsTrailer = "grpc-status-details-bin";

    public static RpcException ToRpc(Fault fault)
    {
        var trailers = new Metadata();
        if (fault.Detail is not null)
        {
            // Same three fields as google.rpc.Status, for which the Temporalio package has its own copy.
            var status = new GrpcStatus { Code = (int)fault.Code, Message = fault.Message };
            status.Details.Add(Any.Pack(fault.Detail));
            trailers.Add(DetailsTrailer, status.ToByteArray());
        }

        return new RpcException(new Status(fault.Code, fault.Message), trailers, fault.Message);
    }
}
