from artifactlab.capture import capture
