using Google.Protobuf.Reflection;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>
/// The description of a service as it is served here: the official one without the methods that answer UNIMPLEMENTED, so that tools which ask by server reflection
/// see what works and nothing else.
/// </summary>
internal static class ServedService
{
    /// <summary>Names of the service's methods that <paramref name="implementation"/> has: public instance methods of the same name.</summary>
    public static IReadOnlySet<string> MethodsOf(ServiceDescriptor service, System.Type implementation)
    {
        var methods = implementation.GetMethods().Select(method => method.Name).ToHashSet(StringComparer.Ordinal);
        return service.Methods.Select(method => method.Name).Where(methods.Contains).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>A descriptor of the same service with only these methods.</summary>
    public static ServiceDescriptor Describe(ServiceDescriptor service, IReadOnlySet<string> served)
    {
        var file = service.File.ToProto();
        var methods = file.Service[service.Index].Method;
        foreach (var refused in methods.Where(method => !served.Contains(method.Name)).ToList())
        {
            methods.Remove(refused);
        }

        var files = new List<ByteString>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var dependency in service.File.Dependencies)
        {
            AddWithDependencies(dependency, files, seen);
        }

        files.Add(file.ToByteString());
        return FileDescriptor.BuildFromByteStrings(files)[^1].Services[service.Index];
    }

    /// <summary>A file may only follow the files it imports.</summary>
    private static void AddWithDependencies(FileDescriptor file, List<ByteString> files, HashSet<string> seen)
    {
        if (!seen.Add(file.Name))
        {
            return;
        }

        foreach (var dependency in file.Dependencies)
        {
            AddWithDependencies(dependency, files, seen);
        }

        files.Add(file.SerializedData);
    }
}
